package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// PinnedTLS returns a client configuration that trusts exactly one key. The
// chain that the server shows must hold a certificate with this key. Is it the
// server's own, it must be in its time; is it a CA's, the server's certificate
// must be signed by it and in its time. Either way it must be valid for the
// host that was dialled by name.
//
// crypto/tls does not tell a configuration which IP address was dialled. Who
// knows it uses PinnedTLSFor, which checks the address too.
//
// A malformed pin gives a configuration whose every handshake fails and says so.
func PinnedTLS(pin string) *tls.Config { return PinnedTLSFor(pin, "") }

// PinnedTLSFor is PinnedTLS for one host: a name or an IP address, which the
// server's certificate must be valid for whatever is dialled.
func PinnedTLSFor(pin, host string) *tls.Config {
	want, malformed := ParsePin(pin)
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: host,
		NextProtos: pinProtocols(),
		// The chain is verified below, against the pin instead of a pool.
		InsecureSkipVerify: true,
	}
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if malformed != nil {
			return malformed
		}
		name := host
		if name == "" {
			name = cs.ServerName
		}
		return verifyPinned(cs.PeerCertificates, want, name, time.Now())
	}
	return cfg
}

// ClientTLS returns the configuration of a client that trusts a pin, or the
// CAs of a PEM file, or, when both are empty, those of the system. A pin and a
// file together must both agree.
func ClientTLS(pin, caFile string) (*tls.Config, error) { return ClientTLSFor("", pin, caFile) }

// ClientTLSFor is ClientTLS for one host, as PinnedTLSFor is.
func ClientTLSFor(host, pin, caFile string) (*tls.Config, error) {
	if pin != "" {
		if _, err := ParsePin(pin); err != nil {
			return nil, err
		}
		if caFile == "" {
			return PinnedTLSFor(pin, host), nil
		}
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if caFile != "" {
		pool, err := poolFrom(caFile)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = pool
	}
	if pin != "" {
		cfg.VerifyConnection, cfg.NextProtos = PinnedTLSFor(pin, host).VerifyConnection, pinProtocols()
	}
	return cfg, nil
}

// pinProtocols is what a client of a pin offers; net/http adds h2 where it is
// spoken.
func pinProtocols() []string { return []string{"http/1.1", PinProtocol} }

// PoolTLS returns the configuration of a client that trusts the CAs in the PEM.
func PoolTLS(caPEM []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		return nil, errs.New(errs.Invalid, "the CA holds no certificate in PEM form")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// maxCAFile is far above the size of any distribution's bundle.
const maxCAFile = 4 << 20

func poolFrom(file string) (*x509.CertPool, error) {
	text, err := readLimited(file, maxCAFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errs.New(errs.NotFound, "the CA file %s does not exist: %w", file, err)
	}
	if err != nil {
		return nil, errs.New(errs.Invalid, "reading the CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errs.New(errs.Invalid, "the CA file %s holds no certificate in PEM form", file)
	}
	return pool, nil
}
