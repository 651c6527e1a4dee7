package server

import (
	"crypto/tls"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/acme"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/httpserver"
	"github.com/rind-project/rind/internal/base/pki"
)

// HTTPS says which certificate people and programs see, and which proxies
// stand between them and this server.
type HTTPS struct {
	CertFile       string         `yaml:"cert_file" path:"true" help:"PEM file of a certificate and its chain, by another CA than the fleet's own; read again when it changes"`
	KeyFile        string         `yaml:"key_file" path:"true" help:"PEM file of that certificate's key"`
	ACME           acme.Config    `yaml:"acme"`
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" help:"networks of proxies that are believed when they say for whom they speak (X-Forwarded-For)"`
	ProxyProtocol  bool           `yaml:"proxy_protocol" help:"whether the trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2"`
}

// Validate says what is wrong.
func (c HTTPS) Validate() error {
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		return config.Bad("key_file", "the certificate in cert_file needs its key: name that file too")
	case c.CertFile == "" && c.KeyFile != "":
		return config.Bad("cert_file", "the key in key_file belongs to a certificate: name that file too")
	case c.CertFile != "" && c.ACME.On():
		return config.Bad("cert_file", "a certificate is in files or asked for by acme: leave one of them out")
	case c.ProxyProtocol && len(c.TrustedProxies) == 0:
		return config.Bad("trusted_proxies", "proxy_protocol is believed of named proxies only: list their addresses, such as [192.0.2.10/32]")
	}
	return nil
}

// proxies are those whose connections begin with a header.
func (c HTTPS) proxies() []netip.Prefix {
	if !c.ProxyProtocol {
		return nil
	}
	return c.TrustedProxies
}

// certificates makes the configuration of HTTPS: the fleet's own certificate
// for who has its pin, and the operator's for everybody else.
func (s *Server) certificates() (*tls.Config, error) {
	own, err := s.ca.ServerTLS(certificateHosts(s.cfg))
	if err != nil {
		return nil, err
	}
	switch c := s.cfg.HTTPS; {
	case c.CertFile != "":
		given, err := pki.OpenGiven(c.CertFile, c.KeyFile, func(err error) {
			s.log.Warn("the certificate for HTTPS was changed and cannot be read; the one before stays in use",
				"error", err, "hint", "correct the files of https.cert_file and https.key_file")
		})
		if err != nil {
			return nil, config.Bad("https.cert_file", "%w", err)
		}
		s.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rind_https_certificate_expires_seconds", Help: "When the certificate of https.cert_file expires, in seconds since 1970.",
		}, func() float64 { return float64(given.Expires().Unix()) }))
		return pki.Prefer(own, given.Get), nil
	case c.ACME.On():
		key, err := s.ca.Secret("acme storage")
		if err != nil {
			return nil, err
		}
		s.acme, err = acme.New(c.ACME, acme.Deps{DB: s.db, Key: key, Listen: s.edges.addr, Log: s.log, Metrics: s.reg})
		if err != nil {
			return nil, err
		}
		conf := pki.Prefer(own, s.acme.Certificate)
		conf.NextProtos = append(conf.NextProtos, acme.Protocol)
		return conf, nil
	}
	return own, nil
}

// composeACME lists what asks for certificates, behind the servers that answer
// the authority's challenges.
func (s *Server) composeACME() {
	if s.acme == nil {
		return
	}
	if listen := s.cfg.HTTPS.ACME.HTTPListen; listen != "" {
		s.group.Add("acme http", httpserver.New(httpserver.Defaults(listen), httpserver.Deps{
			Log: s.log, Handler: guarded(s.acme.HTTPHandler()), Key: "https.acme.http_listen",
		}))
	}
	s.group.Add("acme", s.acme)
}

// refusedProxies counts connections of trusted proxies without a good header.
func (s *Server) refusedProxies() func() {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rind_https_proxy_headers_refused_total", Help: "Connections of trusted proxies that were closed for want of a good header of the PROXY protocol.",
	})
	s.reg.MustRegister(c)
	return c.Inc
}
