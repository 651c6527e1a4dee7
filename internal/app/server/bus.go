package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/httpserver"
	"github.com/rind-project/rind/internal/base/metrics"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// composeBus lists the embedded bus.
func (s *Server) composeBus() error {
	tls, err := s.ca.ServerTLS(append(certificateHosts(s.cfg), pki.BusName))
	if err != nil {
		return err
	}
	routes, err := s.ca.RouteTLS()
	if err != nil {
		return err
	}
	s.daemon = natsd.New(s.cfg.NATS, natsd.Deps{Log: s.log, DataDir: s.cfg.DataDir, TLS: tls, RouteTLS: routes, Metrics: s.reg, Joined: s.joined(),
		Hold: s.cfg.has(RoleMaster)})
	s.group.Add("bus", s.daemon)
	if s.cfg.has(RoleMaster) {
		return nil // whose own connection tells more
	}
	s.checks.Add("bus", func(context.Context) error {
		if s.daemon.Addr() == "" {
			return errors.New("the bus does not run")
		}
		return nil
	})
	return nil
}

// leader waits at start for the servers that keep streams, and gives them what
// this one stored before there were others.
type leader struct{ daemon *natsd.Server }

// Start waits.
func (l leader) Start(ctx context.Context) error {
	if err := l.daemon.WaitLeader(ctx); err != nil {
		return err
	}
	if err := l.daemon.BringIn(ctx); err != nil {
		return err
	}
	return l.daemon.WaitCurrent(ctx)
}

// Stop does nothing.
func (l leader) Stop(context.Context) error { return nil }

// doors lets peels in when the master is there. One that is started again
// would else be kept from its start by all of them at once.
type doors struct{ daemon *natsd.Server }

// Start opens them.
func (d doors) Start(context.Context) error {
	d.daemon.Open()
	return nil
}

// Stop does nothing: the bus ends later.
func (d doors) Stop(context.Context) error { return nil }

// joinedFile is in the data folder of a server that joined a fleet.
const joinedFile = "joined"

// joined reports whether this server joined a fleet that there was already.
func (s *Server) joined() bool {
	_, err := os.Stat(filepath.Join(s.cfg.DataDir, joinedFile))
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Server) keeper() *bus.Keeper {
	k := bus.NewKeeper(func() *nats.Conn { return s.client.nc }, s.daemon.Capacity, s.log)
	if s.joined() {
		k.Joined()
	}
	return k
}

// fleetKeys opens the keys of a master. One that joined was given the root key;
// to make one would begin another fleet.
func (s *Server) fleetKeys() (*natsd.Keys, error) {
	if _, err := os.Stat(filepath.Join(s.cfg.DataDir, filepath.FromSlash(rootKeyFile))); s.joined() && errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(errs.Conflict, "this server joined the fleet without the role master and has no root key of it; let it join again, into another data folder, with a token of rind server token --role bus,master")
	}
	return natsd.OpenKeys(filepath.Join(s.cfg.DataDir, "keys"))
}

// healthOnly is what a server with the role bus alone serves: it has no users,
// and so nothing to sign in to. Metrics are for this machine.
type healthOnly struct{ https *httpserver.Server }

func (h *healthOnly) addr() string {
	if h == nil || h.https == nil {
		return ""
	}
	return h.https.Addr()
}

// composeHealth lists it.
func (s *Server) composeHealth() error {
	tls, err := s.certificates()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", s.checks.Healthz())
	mux.Handle("GET /readyz", s.checks.Readyz(fromHere))
	mux.Handle("GET /metrics", localOnly(metrics.Handler(s.reg)))
	s.health = &healthOnly{https: httpserver.New(httpserver.Defaults(s.cfg.Listen), httpserver.Deps{
		Log: s.log, TLS: tls, Handler: guarded(mux), Key: "listen", Proxies: s.cfg.HTTPS.proxies(), Refused: s.refusedProxies(),
	})}
	s.group.Add("https", s.health.https)
	return nil
}

// localOnly refuses who asks from another machine.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fromHere(r) {
			http.Error(w, "a server with the role bus alone has no users who could sign in; ask for its metrics on the machine itself, over the loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromHere reports whether a request comes from this machine.
func fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	addr, errAddr := netip.ParseAddr(host)
	return err == nil && errAddr == nil && addr.Unmap().IsLoopback()
}
