// Package event takes in what peels and people tell of, keeps it in the stream
// job-events beside what masters tell of jobs, and shows it to those who watch.
//
// Who told of an event is known from the transport. No stream listens to what
// peels publish: a master takes it, looks at it, stores it, and answers into
// the peel's own inbox when it is stored.
//
// One consumer for each master process feeds everybody who watches; what is
// older is read from the stream without one.
package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/pace"
)

// Config bounds what peels tell.
type Config struct {
	Rate  int `yaml:"rate" help:"events that one peel may send in a second, for long"`
	Burst int `yaml:"burst" help:"events that one peel may send at once"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Rate: 2, Burst: 100} }

// Validate says what is wrong.
func (c *Config) Validate() error {
	if c.Rate < 1 || c.Rate > 1000 {
		return config.Bad("rate", "%d: use 1 to 1000 events in a second", c.Rate)
	}
	if c.Burst < 1 || c.Burst > 10_000 {
		return config.Bad("burst", "%d: use 1 to 10000 events", c.Burst)
	}
	return nil
}

// Deps are what the service needs.
type Deps struct {
	Log *slog.Logger
	// NC is the connection of the fleet's account, and JS its JetStream. They
	// are asked once, by Start.
	NC func() *nats.Conn
	JS func() jetstream.JetStream
	// Passes counts a message of a peel, with its size in bytes, and reports
	// whether the peel may send so much; optional.
	Passes  func(id fleet.PeelID, size int) bool
	Metrics prometheus.Registerer // optional
}

// Service takes, keeps and shows events. Use New.
type Service struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics

	mu  sync.Mutex
	now *live // nil while it does not run
}

// live is what the service has between Start and Stop.
type live struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	nc     *nats.Conn
	js     jetstream.JetStream
	sub    *nats.Subscription
	slot   chan struct{}
	pace   *pace.Pace
	tail   *tail
}

// New makes a service that is not started.
func New(cfg Config, deps Deps) *Service {
	if cfg.Rate <= 0 {
		cfg.Rate = DefaultConfig().Rate
	}
	if cfg.Burst <= 0 {
		cfg.Burst = DefaultConfig().Burst
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, deps: deps, log: deps.Log}
}

// Start begins to take events and to follow the stream.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		return errors.New("events are taken already")
	}
	if s.metrics == nil {
		m, err := newMetrics(s.deps.Metrics)
		if err != nil {
			return err
		}
		s.metrics = m
	}
	l := &live{nc: s.deps.NC(), js: s.deps.JS(), slot: make(chan struct{}, maxStoring), pace: pace.New(float64(s.cfg.Rate), s.cfg.Burst)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := s.open(ctx, l); err != nil {
		l.end()
		l.wg.Wait()
		return err
	}
	s.now = l
	return nil
}

func (s *Service) open(ctx context.Context, l *live) error {
	stream, err := l.js.Stream(ctx, bus.EventsStream)
	if err != nil {
		return bus.Explain(bus.EventsStream, err)
	}
	l.tail = newTail(stream.CachedInfo().State.LastSeq + 1)
	if err := s.follow(ctx, l); err != nil {
		return fmt.Errorf("following the events: %w", err)
	}
	if l.sub, err = l.nc.QueueSubscribe(bus.AllEvents, intakeQueue, func(m *nats.Msg) { s.onEvent(l, m) }); err == nil {
		err = l.sub.SetPendingLimits(-1, maxPending)
	}
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", bus.AllEvents, err)
	}
	return nil
}

// Stop ends it, and with it whoever watches.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.now
	if l == nil {
		return nil
	}
	s.now = nil
	l.end()
	done := make(chan struct{})
	go func() { l.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the events: %w", ctx.Err())
	}
}

func (l *live) end() {
	l.cancel()
	if l.sub != nil {
		_ = l.sub.Unsubscribe() // fails on a closed connection, where nothing comes anyway
	}
}

func (s *Service) running() (*live, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return nil, errs.New(errs.Unavailable, "events are not taken just now; try again in a moment")
	}
	return s.now, nil
}
