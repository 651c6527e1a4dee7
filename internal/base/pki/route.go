package pki

import (
	"crypto/tls"
	"crypto/x509"
)

// Names that stand in certificates beside, or instead of, those by which a
// server is reached. Only servers of the fleet have them, so that a client
// which trusts the CA alone knows a server under any address, also one that it
// was told by another server.
const (
	// BusName is in the certificate of every server's bus.
	BusName = "bus.rind.internal"
	// routeName is in the certificate that a server shows other servers.
	routeName = "route.rind.internal"
)

// routeFile keeps the certificate for routes.
const routeFile = "server-route.pem"

// RouteTLS returns the configuration of connections between the servers of a
// cluster, in both directions: each side shows a certificate of this CA that
// was made for routes, and accepts nothing else. What the system trusts plays
// no part, nor does a server's certificate for its clients.
func (ca *CA) RouteTLS() (*tls.Config, error) {
	r := &renewer{ca: ca, checked: ca.now(), issue: ca.routeCertificate}
	first, err := ca.routeCertificate()
	if err != nil {
		return nil, err
	}
	r.pair = &first
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: routeName,
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		GetCertificate:       r.get,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return r.get(nil) },
	}, nil
}

// routeCertificate takes the certificate for routes from its file, or makes it.
func (ca *CA) routeCertificate() (tls.Certificate, error) {
	return ca.kept(ca.path(routeFile), []string{routeName}, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

// BusTLS returns the configuration of a client of the bus that trusts the CA in
// the PEM, under whatever address it reaches one of the fleet's servers.
func BusTLS(caPEM []byte) (*tls.Config, error) {
	cfg, err := PoolTLS(caPEM)
	if err != nil {
		return nil, err
	}
	cfg.MinVersion, cfg.ServerName = tls.VersionTLS13, BusName
	return cfg, nil
}
