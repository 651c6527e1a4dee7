package peel

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Limits of a socket.
const (
	maxPendingMsgs  = 1024 // that wait to be handled in one subscription
	maxPendingBytes = 16 << 20
	subscribeWait   = 10 * time.Second
	pongWait        = 10 * time.Second      // for the answer to a ping
	drainLook       = 50 * time.Millisecond // at the answers that are waited for
)

// natsSocket is the socket of a peel that has its process for itself.
type natsSocket struct {
	cfg   bus.ConnConfig
	nc    *nats.Conn
	inbox string // prefix of the answers' subjects, with the dot
	calls Calls

	mu      sync.Mutex
	subs    []*nats.Subscription
	quiet   bool // only answers are heard
	testing bool // a ping is not answered yet
}

// dialNATS is the Dialer of the client library.
func dialNATS(ctx context.Context, cfg bus.ConnConfig, on SocketEvents) (Socket, error) {
	s := &natsSocket{inbox: cfg.InboxPrefix + "."}
	cfg.OnConnect = func(*nats.Conn) { on.Up(s) }
	cfg.OnDisconnect = func(*nats.Conn, error) {
		s.calls.Fail(nats.ErrConnectionClosed)
		on.Down(s)
	}
	cfg.OnClosed = func(nc *nats.Conn) { on.Closed(s, nc.LastError()) }
	s.cfg = cfg
	nc, err := bus.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.nc = nc
	return s, nil
}

func (s *natsSocket) Publish(subject string, data []byte) error { return s.nc.Publish(subject, data) }

// Test tests once at a time.
func (s *natsSocket) Test() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.testing {
		s.testing = true
		go s.test()
	}
}

func (s *natsSocket) test() {
	err := s.nc.FlushTimeout(pongWait)
	for n := 1; err != nil && n < s.cfg.MaxPingsOut && s.nc.IsConnected(); n++ {
		err = s.nc.FlushTimeout(pongWait)
	}
	if err != nil && s.nc.IsConnected() {
		_ = s.nc.ForceReconnect() // fails on a connection that was closed meanwhile
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.testing = false
}

func (s *natsSocket) Call(subject string, data []byte, limit time.Duration, done func([]byte, error)) (forget func()) {
	token := s.calls.Open(limit, done)
	if err := s.nc.PublishRequest(subject, s.inbox+token, data); err != nil {
		s.calls.Settle(token, nil, err)
	}
	return func() { s.calls.Forget(token) }
}

// noResponders is the status with which the server answers for nobody.
const noResponders = "503"

func (s *natsSocket) Subscribe(subjects []string, fn func(string, []byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subject := range subjects {
		sub, err := s.nc.Subscribe(subject, func(m *nats.Msg) { s.heard(m, fn) })
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		s.subs = append(s.subs, sub)
		if err := sub.SetPendingLimits(maxPendingMsgs, maxPendingBytes); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	if err := s.nc.FlushTimeout(subscribeWait); err != nil {
		return fmt.Errorf("subscribing to %s: %w", subjects, err)
	}
	return nil
}

// heard gives an answer to whom it is for, and anything else to fn.
func (s *natsSocket) heard(m *nats.Msg, fn func(string, []byte)) {
	if token, isAnswer := strings.CutPrefix(m.Subject, s.inbox); isAnswer {
		if len(m.Data) == 0 && m.Header.Get("Status") == noResponders {
			s.calls.Settle(token, nil, bus.ErrNoMaster)
			return
		}
		answer, err := bus.ReadAnswer(m.Data)
		s.calls.Settle(token, answer, err)
		return
	}
	s.mu.Lock()
	quiet := s.quiet
	s.mu.Unlock()
	if !quiet {
		fn(m.Subject, m.Data)
	}
}

func (s *natsSocket) Unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = true
}

func (s *natsSocket) Connected() bool { return s.nc.IsConnected() }

// Drain ends within twice drain_timeout in any case.
func (s *natsSocket) Drain() {
	go func() {
		s.Unsubscribe()
		for end := time.Now().Add(s.cfg.DrainTimeout); time.Now().Before(end) && s.Connected() && s.calls.Waiting() > 0; {
			time.Sleep(drainLook)
		}
		_ = s.nc.Drain() // fails on a connection that is gone
	}()
}

func (s *natsSocket) Close() { s.nc.Close() }
