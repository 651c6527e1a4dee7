package natsd

import (
	"crypto/tls"
	"errors"
	"sync"
	"time"
)

// gateWait is the longest that a client is kept waiting at the gate. It is
// longer than a peel waits for a connection, and shorter than the server does.
const gateWait = 20 * time.Second

// gate keeps clients waiting in their TLS handshake until whoever is to serve
// them is there. When a server is started again under a large fleet, all of it
// stands at the door at once: its handshakes would take the processors from
// the server's own start, until that is given up.
type gate struct {
	once sync.Once
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) let() { g.once.Do(func() { close(g.open) }) }

var errGate = errors.New("the server is starting")

// guard puts the gate before a server's handshakes.
func (g *gate) guard(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	inner := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		select {
		case <-g.open:
		default:
			if err := g.wait(); err != nil {
				return nil, err
			}
		}
		if inner == nil {
			return nil, nil
		}
		return inner(hello)
	}
	return cfg
}

func (g *gate) wait() error {
	t := time.NewTimer(gateWait)
	defer t.Stop()
	select {
	case <-g.open:
		return nil
	case <-t.C:
		return errGate
	}
}

// Open lets clients in that Deps.Hold has kept waiting. It does nothing when
// they were let in already.
func (s *Server) Open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != nil {
		s.gate.let()
	}
}
