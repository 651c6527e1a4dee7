package httpserver

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
)

// build makes the http.Server. base is the parent of every request's context;
// stopping ends when Stop begins.
func (s *Server) build(base, stopping context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(s.deps.TLS != nil)
	return &http.Server{
		Handler:           s.guard(stopping, s.deps.Handler),
		Protocols:         protocols,
		TLSConfig:         serverTLS(s.deps.TLS),
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeaderBytes,
		ErrorLog:          log.New(newStrangers(s.deps.Log, s.deps.Hint), "", 0),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       s.connContext,
	}
}

// serverTLS returns a copy that speaks nothing older than TLS 1.2 (RFC 8996).
func serverTLS(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	return cfg
}

// connContext hands the bare connection to the hook of the owner.
func (s *Server) connContext(ctx context.Context, c net.Conn) context.Context {
	if s.deps.ConnContext == nil {
		return ctx
	}
	if w, ok := c.(*stallConn); ok {
		c = w.Conn
	}
	return s.deps.ConnContext(ctx, c)
}
