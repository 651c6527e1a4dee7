package peel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Socket is a connection to the bus that heals itself, as much of it as a peel
// needs. Any implementation passes the suite peeltest.
type Socket interface {
	// Publish sends a message and does not wait for it to arrive.
	Publish(subject string, data []byte) error
	// Ask asks the masters, as bus.Ask does.
	Ask(ctx context.Context, subject string, data []byte, limit time.Duration) ([]byte, error)
	// Subscribe calls fn for each message on a subject, one at a time, and
	// returns when the server knows of it. The data is fn's to keep.
	Subscribe(subjects []string, fn func(subject string, data []byte)) error
	// Unsubscribe ends all subscriptions. Answers still come.
	Unsubscribe()
	// Connected reports whether the connection is up now.
	Connected() bool
	// Drain ends the subscriptions, waits for what is on its way, and closes;
	// it does so in the background.
	Drain()
	// Close ends it.
	Close()
}

// SocketEvents are told of what happens to a socket.
type SocketEvents struct {
	Up     func(Socket)        // after the first connect and each reconnect
	Down   func(Socket)        // when the connection was lost
	Closed func(Socket, error) // when it was given up, or closed
}

// Dialer opens a connection to the bus, and tries until the context ends, or
// once when the configuration says so. It sets the configuration's own events.
type Dialer func(context.Context, bus.ConnConfig, SocketEvents) (Socket, error)

// Limits of what waits to be handled in one subscription.
const (
	maxPendingMsgs  = 1024
	maxPendingBytes = 16 << 20
)

// natsSocket is the socket of a peel that has its process for itself.
type natsSocket struct {
	nc *nats.Conn

	mu   sync.Mutex
	subs []*nats.Subscription
}

// dialNATS is the Dialer of the client library.
func dialNATS(ctx context.Context, cfg bus.ConnConfig, on SocketEvents) (Socket, error) {
	s := &natsSocket{}
	cfg.OnConnect = func(*nats.Conn) { on.Up(s) }
	cfg.OnDisconnect = func(*nats.Conn, error) { on.Down(s) }
	cfg.OnClosed = func(nc *nats.Conn) { on.Closed(s, nc.LastError()) }
	nc, err := bus.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.nc = nc
	return s, nil
}

func (s *natsSocket) Publish(subject string, data []byte) error { return s.nc.Publish(subject, data) }

func (s *natsSocket) Ask(ctx context.Context, subject string, data []byte, limit time.Duration) ([]byte, error) {
	return bus.Ask(ctx, s.nc, subject, data, limit)
}

func (s *natsSocket) Subscribe(subjects []string, fn func(string, []byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subject := range subjects {
		sub, err := s.nc.Subscribe(subject, func(m *nats.Msg) { fn(m.Subject, m.Data) })
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		s.subs = append(s.subs, sub)
		if err := sub.SetPendingLimits(maxPendingMsgs, maxPendingBytes); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	if err := s.nc.FlushTimeout(10 * time.Second); err != nil {
		return fmt.Errorf("subscribing to %s: %w", subjects, err)
	}
	return nil
}

func (s *natsSocket) Unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // fails on a closed connection, where nothing comes anyway
	}
	s.subs = nil
}

func (s *natsSocket) Connected() bool { return s.nc.IsConnected() }

// Drain ends within drain_timeout in any case.
func (s *natsSocket) Drain() { _ = s.nc.Drain() }

func (s *natsSocket) Close() { s.nc.Close() }
