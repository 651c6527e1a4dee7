package natsd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
)

// Once every pingInterval the server asks each client that was silent for that
// long whether it lives. A peel's heartbeats come a little oftener, so that a
// fleet in health is not asked at all. One answer may be missing: a connection
// that is cut ends within three intervals, a minute.
const (
	pingInterval = 19 * time.Second
	pingsOut     = 1
)

// Deps are what the bus needs.
type Deps struct {
	Log     *slog.Logger
	DataDir string                // keys go below keys, what is stored below bus
	TLS     *tls.Config           // with the server's certificate
	Metrics prometheus.Registerer // optional
	Now     func() time.Time      // optional

	// RouteTLS is for connections between the servers of a cluster, in both
	// directions. It verifies the other side against the fleet's CA.
	RouteTLS *tls.Config
	// Joined says that this server joined a fleet that there was before it, and
	// so never begins a cluster.
	Joined bool
	// Hold keeps clients from outside waiting until Open.
	Hold bool
}

// Server is the embedded bus.
type Server struct {
	cfg  Config
	deps Deps
	died chan error

	disk   sync.Mutex // guards what follows: whether there is room, and when that was looked at
	full   error
	looked time.Time

	mu       sync.Mutex // guards what follows
	srv      *server.Server
	opts     *server.Options
	keys     *Keys
	account  *account
	resolver *server.DirAccResolver
	logger   *logger
	gate     *gate      // nil before the first start
	system   *nats.Conn // made when it is first needed
	stopped  bool
	unwatch  context.CancelFunc // ends what goes on in the background
}

// New makes a bus that is not started.
func New(cfg Config, deps Deps) *Server {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Server{cfg: cfg, deps: deps, died: make(chan error, 1)}
	s.logger = newLogger(deps.Log, deps.Metrics)
	s.register(deps.Metrics)
	return s
}

// Start starts the bus and returns when it takes connections.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv != nil {
		return errors.New("the bus runs already")
	}
	s.logger.anew()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.unwatch = cancel
	begun := make(chan struct{})
	go func() { s.srv.Start(); close(begun) }()
	if err := s.ready(ctx); err != nil {
		s.abandon(begun)
		return err
	}
	if err := s.accompany(background, s.opts); err != nil {
		s.abandon(begun)
		return err
	}
	s.stopped = false
	s.warnFiles()
	go s.watch(s.srv)
	go s.retireLoop(background)
	if s.cfg.Clustered() {
		go s.follow(background)
		go s.compareLoop(background)
	}
	s.deps.Log.Info("the bus listens", "address", s.srv.Addr().String())
	return nil
}

// abandon ends a server that did not become ready. It may still be starting,
// and would go on to open what Shutdown has not seen yet.
func (s *Server) abandon(begun <-chan struct{}) {
	s.unwatch()
	s.gate.end()
	s.srv.Shutdown()
	select {
	case <-begun:
	case <-time.After(5 * time.Second):
	}
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	s.srv = nil
}

// prepare opens keys and account, and makes the server without starting it.
func (s *Server) prepare(ctx context.Context) error {
	if err := s.cfg.Validate(); err != nil {
		return err
	}
	if s.deps.TLS == nil {
		return errors.New("the bus has no certificate, and never runs without TLS")
	}
	dir := filepath.Join(s.deps.DataDir, "bus")
	if err := writable(dir); err != nil {
		return err
	}
	var err error
	keys := filepath.Join(s.deps.DataDir, "keys")
	if s.keys, err = openKeys(keys, !s.deps.Joined || exists(filepath.Join(keys, rootName+".ed25519"))); err != nil {
		return err
	}
	if err := s.setAside(dir); err != nil {
		return err
	}
	size, err := s.cfg.storage(dir)
	if err != nil {
		return err
	}
	if s.resolver, err = openResolver(filepath.Join(dir, "accounts")); err != nil {
		return err
	}
	held, _ := s.resolver.LoadAcc(public(s.keys.Account)) // there is none at the first start
	if s.account, err = openAccount(s.keys, size.limits(s.cfg), s.deps.Now, held); err != nil {
		return err
	}
	host, port, err := s.cfg.hostPort()
	if err != nil {
		return err
	}
	if _, err := probe(ctx, "nats.listen", "the bus", host, port); err != nil {
		return err
	}
	return s.build(ctx, size, dir)
}

// build makes the server with its operator and its accounts.
func (s *Server) build(ctx context.Context, size storage, dir string) error {
	opts, err := s.options(ctx, size, dir)
	if err != nil {
		return err
	}
	operator := jwt.NewOperatorClaims(public(s.keys.Operator))
	operator.Name = "rind"
	operator.SystemAccount = opts.SystemAccount
	token, err := operator.Encode(s.keys.Operator)
	if err != nil {
		return fmt.Errorf("signing the operator: %w", err)
	}
	if operator, err = jwt.DecodeOperatorClaims(token); err != nil {
		return fmt.Errorf("reading the operator back: %w", err)
	}
	opts.TrustedOperators = []*jwt.OperatorClaims{operator}
	if err := s.storeAccounts(ctx); err != nil {
		return err
	}
	opts.AccountResolver = s.resolver
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("making the bus: %w", err)
	}
	// With debugging on, since that is where a client shows that speaks another
	// protocol; the logger drops the rest.
	srv.SetLoggerV2(s.logger, true, false, false)
	s.srv, s.opts = srv, opts
	return nil
}

// probe listens for a moment where the server will, since the server itself
// reports a port in use only in its log. It returns the port, which the system
// has chosen when it was 0.
func probe(ctx context.Context, key, who, host string, port int) (int, error) {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return 0, errs.New(errs.Unavailable, "%s cannot listen on %s: set %s to a free address, or stop what uses it: %w", who, addr, key, err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		port = a.Port
	}
	return port, l.Close()
}

// ready waits until the server takes connections. It ends at once when the
// server says in its log that it will not.
func (s *Server) ready(ctx context.Context) error {
	deadline := time.NewTimer(s.cfg.ReadyTimeout)
	defer deadline.Stop()
	for {
		select {
		case line := <-s.logger.fatal:
			return errs.New(errs.Unavailable, "the bus did not start: %s", line)
		case <-ctx.Done():
			return fmt.Errorf("starting the bus: %w%s", ctx.Err(), s.because())
		case <-deadline.C:
			return errs.New(errs.Unavailable, "the bus was not ready within %s (nats.ready_timeout)%s", s.cfg.ReadyTimeout, s.because())
		default:
		}
		if s.srv.ReadyForConnections(20 * time.Millisecond) {
			return nil
		}
	}
}

func (s *Server) because() string {
	if line := s.logger.lastError(); line != "" {
		return "; the last error it logged: " + line
	}
	return ""
}

// watch reports a server that ends without having been stopped.
func (s *Server) watch(srv *server.Server) {
	srv.WaitForShutdown()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.died <- fmt.Errorf("the embedded nats-server ended by itself%s", s.because())
	}
}

// Stop ends the bus.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	srv, system, unwatch, gate := s.srv, s.system, s.unwatch, s.gate
	s.srv, s.system, s.stopped = nil, nil, true
	s.mu.Unlock()
	if srv == nil {
		return nil
	}
	unwatch()
	gate.end()
	if system != nil {
		system.Close()
	}
	done := make(chan struct{})
	go func() {
		if s.cfg.Clustered() {
			srv.LameDuckShutdown() // others lead before this one ends, and clients move to them one by one
		}
		srv.Shutdown()
		srv.WaitForShutdown()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the bus: %w", ctx.Err())
	}
}

// Died yields why the bus ended, if it ends by itself.
func (s *Server) Died() <-chan error { return s.died }

// Addr is the address that the bus listens on, after Start.
func (s *Server) Addr() string {
	srv := s.running()
	if srv == nil {
		return ""
	}
	return srv.Addr().String()
}

// InProcess gives connections that do not cross the network, and need no TLS.
func (s *Server) InProcess() nats.InProcessConnProvider { return inProcess{s} }

// FleetKeys are the fleet's keys, after Start.
func (s *Server) FleetKeys() *Keys {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

func (s *Server) running() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.srv
}

// inProcess asks for the running server at each connect, so that a connection
// outlives a restart of the bus.
type inProcess struct{ s *Server }

// InProcessConn makes a connection.
func (p inProcess) InProcessConn() (net.Conn, error) {
	srv := p.s.running()
	if srv == nil {
		return nil, errs.New(errs.Unavailable, "the bus does not run")
	}
	return srv.InProcessConn()
}
