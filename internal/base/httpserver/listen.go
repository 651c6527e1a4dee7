package httpserver

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"

	"github.com/rind-project/rind/internal/base/errs"
)

// listen binds the configured address, or takes the listener that was handed in.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	if s.deps.Listener != nil {
		return s.deps.Listener, nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, ListenError(s.cfg.Listen, s.deps.Key, err)
	}
	return ln, nil
}

// ListenError explains why an address could not be bound, and names the config
// key that changes it. Other components that listen may use it too.
func ListenError(addr, key string, err error) error {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	var dns *net.DNSError
	var malformed *net.AddrError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return errs.New(errs.Conflict, "cannot listen on %s: another program uses this port (ss -ltnp 'sport = :%s' shows which); stop it, or set %q to another address: %w", addr, port, key, err)
	case errors.Is(err, syscall.EACCES) && n > 0 && n < 1024:
		return errs.New(errs.Forbidden, "cannot listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it, or set %q to a port from 1024 on: %w", addr, key, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return errs.New(errs.Forbidden, "cannot listen on %s: the system does not allow it to this user; set %q to another address: %w", addr, key, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errs.New(errs.Invalid, "cannot listen on %s: this machine does not have this address; set %q to one that it has (ip addr), or to 0.0.0.0:%s for all: %w", addr, key, port, err)
	case errors.As(err, &dns):
		return errs.New(errs.Invalid, "cannot listen on %s: the host or the port is not known; correct %q: %w", addr, key, err)
	case errors.As(err, &malformed):
		return errs.New(errs.Invalid, "cannot listen on %q: this is no address with a port, such as 0.0.0.0:8443; correct %q: %w", addr, key, err)
	}
	return errs.New(errs.Unavailable, "cannot listen on %s (%q): %w", addr, key, err)
}
