// Package httpserver serves one http.Handler on one address, plain or by TLS,
// as a component of a daemon. It is safe to put in front of strangers: every
// phase of a request that waits for the other side has a limit, yet an answer
// may stream for days (server-sent events) as long as its reader keeps reading.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/lifecycle"
)

// Config is what an operator may set. Fields that are zero take the value of
// Defaults; Listen has none.
type Config struct {
	Listen            string        `yaml:"listen" help:"address and port, such as 0.0.0.0:8443"`
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout" help:"time a client has to send a request's header"`
	BodyTimeout       time.Duration `yaml:"body_timeout" help:"time a client has to send a request's body"`
	StallTimeout      time.Duration `yaml:"stall_timeout" help:"time after which a client that reads nothing is dropped"`
	IdleTimeout       time.Duration `yaml:"idle_timeout" help:"time that a connection may stay open between requests"`
	MaxHeaderBytes    int           `yaml:"max_header_bytes" help:"largest header of a request, in bytes"`
}

// Defaults returns a configuration that listens on the address.
func Defaults(listen string) Config {
	return Config{
		Listen:            listen,
		ReadHeaderTimeout: 10 * time.Second,
		BodyTimeout:       2 * time.Minute,
		StallTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// Deps are the parts that a server works with.
type Deps struct {
	Log         *slog.Logger
	TLS         *tls.Config                                     // nil serves plain HTTP; else at least TLS 1.2, with h2
	Handler     http.Handler                                    // panics in it are answered with 500 and logged
	Listener    net.Listener                                    // optional, used instead of Config.Listen; the server closes it
	Key         string                                          // config key of the address, for messages; "listen" when empty
	Hint        string                                          // what to do, for the log, when a client speaks no HTTPS to a server by TLS
	ConnContext func(context.Context, net.Conn) context.Context // optional, as in http.Server; gets a *net.UnixConn or *net.TCPConn when plain
	Proxies     []netip.Prefix                                  // optional; connections from there begin with a header of the PROXY protocol, version 1 or 2
	Draining    func() bool                                     // optional; while it is true each answer ends its connection, so that a balancer opens the next elsewhere
	Refused     func()                                          // optional; called for each connection of a proxy without a good header
}

// Server is an HTTP server. Use New.
type Server struct {
	cfg  Config
	deps Deps
	died chan error

	mu       sync.Mutex
	http     *http.Server
	listener net.Listener
	stopping context.CancelFunc // tells streams that the end is near
	abort    context.CancelFunc // ends every request
	served   chan struct{}      // closed when the accept loop has ended
}

var (
	_ lifecycle.Component = (*Server)(nil)
	_ lifecycle.Dying     = (*Server)(nil)
)

// New returns a server that does nothing yet.
func New(cfg Config, deps Deps) *Server {
	def := Defaults(cfg.Listen)
	fill(&cfg.ReadHeaderTimeout, def.ReadHeaderTimeout)
	fill(&cfg.BodyTimeout, def.BodyTimeout)
	fill(&cfg.StallTimeout, def.StallTimeout)
	fill(&cfg.IdleTimeout, def.IdleTimeout)
	fill(&cfg.MaxHeaderBytes, def.MaxHeaderBytes)
	if deps.Key == "" {
		deps.Key = "listen"
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, deps: deps, died: make(chan error, 1)}
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Start binds the address and serves in the background. An address that cannot
// be bound gives an error that says what to change.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return errors.New("http server: started already")
	}
	ln, err := s.listen(ctx)
	if err != nil {
		return err
	}
	stopping, cancelStopping := context.WithCancel(context.Background())
	base, cancelBase := context.WithCancel(context.Background())
	s.stopping, s.abort = cancelStopping, cancelBase
	s.listener, s.served = ln, make(chan struct{})
	s.http = s.build(base, stopping)
	go s.serve(s.http, ln, s.served)
	s.deps.Log.Info("http server listens", "addr", ln.Addr().String(), "tls", s.deps.TLS != nil)
	return nil
}

// serve runs the accept loop. Only an end that nobody asked for is a death.
func (s *Server) serve(srv *http.Server, ln net.Listener, served chan struct{}) {
	defer close(served)
	if len(s.deps.Proxies) > 0 {
		ln = proxyListener{ln, s.deps.Proxies, s.cfg.ReadHeaderTimeout, s.deps.Refused}
	}
	stalled := stallListener{ln, s.cfg.StallTimeout}
	var err error
	if s.deps.TLS != nil {
		err = srv.ServeTLS(stalled, "", "")
	} else {
		err = srv.Serve(stalled)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.died <- fmt.Errorf("serving http on %s: %w", ln.Addr(), err)
	}
}

// Addr returns the address that is listened on, with the real port, or "" when
// the server is not started.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Died yields an error when the server ends by itself.
func (s *Server) Died() <-chan error { return s.died }
