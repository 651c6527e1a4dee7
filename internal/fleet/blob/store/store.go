// Package store keeps files that are on their way between hosts and people: the
// chunks in a stream of the bus that servers alone read, so that any master can
// answer, and what there is in the database. Files leave after a time, and what
// all of them and those of a peel take is bounded.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Config bounds the store.
type Config struct {
	MaxBytes     config.Size   `yaml:"max_bytes" help:"how much is kept of files on their way; 0 is what the bus has room for"`
	PeelMaxBytes config.Size   `yaml:"peel_max_bytes" help:"how much is kept of what one peel brings up; all peels together have half of max_bytes"`
	MaxAge       time.Duration `yaml:"max_age" help:"how long a file is kept, at most 14 days"`
	MaxRate      config.Size   `yaml:"max_rate" help:"how much this server sends to peels in a second; peels wait for the rest"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{PeelMaxBytes: 2 * config.GiB, MaxAge: 24 * time.Hour, MaxRate: 256 * config.MiB}
}

// Validate says what is wrong and which key to change.
func (c Config) Validate() error {
	switch {
	case c.MaxAge < time.Minute || c.MaxAge > 14*24*time.Hour:
		return config.Bad("files.max_age", "%s is not between a minute and 14 days", c.MaxAge)
	case c.MaxBytes < 0 || c.PeelMaxBytes < 0:
		return config.Bad("files.max_bytes", "a size cannot be negative")
	case c.MaxRate < blob.Chunk:
		return config.Bad("files.max_rate", "%d is below a chunk, %d bytes", c.MaxRate, blob.Chunk)
	}
	return nil
}

// Limits that are not configured.
const (
	maxFiles     = 10_000 // of people
	maxPeelFiles = 200    // of one peel
	partialLife  = time.Hour
	sweepEvery   = time.Minute
	cacheBytes   = 64 << 20
)

// Deps are what a store needs.
type Deps struct {
	DB      *database.DB
	JS      func() jetstream.JetStream // is asked by Start
	Room    func() error               // returns an error when the disk is full; optional
	Log     *slog.Logger
	Now     func() time.Time
	Metrics prometheus.Registerer // optional
}

// Store keeps files. Use New.
type Store struct {
	cfg     Config
	deps    Deps
	cache   *cache
	known   *known
	paced   *rate.Limiter
	metrics *metrics

	mu     sync.Mutex
	js     jetstream.JetStream
	stream jetstream.Stream
	room   int64 // of the stream
	cancel context.CancelFunc
	work   sync.WaitGroup
}

type metrics struct {
	files *prometheus.CounterVec
	bytes *prometheus.CounterVec
}

// New makes a store that is not started.
func New(cfg Config, deps Deps) (*Store, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, deps: deps, cache: newCache(cacheBytes), known: newKnown(), metrics: &metrics{
		files: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_files_total",
			Help: "Files on their way, by what became of them: begun, complete, damaged, refused, expired, abandoned, deleted."}, []string{"event"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_files_bytes_total",
			Help: "Bytes of chunks: taken, sent, read from the bus because they were not in memory, and paced, which peels were told to ask for later."}, []string{"what"}),
	}}
	s.paced = rate.NewLimiter(rate.Limit(cfg.MaxRate), max(int(cfg.MaxRate), 16*blob.Chunk))
	if deps.Metrics == nil {
		return s, nil
	}
	for _, m := range []prometheus.Collector{s.metrics.files, s.metrics.bytes} {
		if err := deps.Metrics.Register(m); err != nil {
			return nil, fmt.Errorf("registering the metrics of files: %w", err)
		}
	}
	return s, nil
}

// Start finds the stream and begins to clear away what is too old.
func (s *Store) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		return errors.New("the store of files runs already")
	}
	s.js = s.deps.JS()
	if err := s.open(ctx); err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.work.Go(func() { s.sweepLoop(running) })
	return nil
}

// open finds the stream, and makes room in it for what is to be kept. mu is
// held.
func (s *Store) open(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, bus.FilesStream)
	if err != nil {
		return bus.Explain(bus.FilesStream, err)
	}
	cfg := stream.CachedInfo().Config
	if want := int64(s.cfg.MaxBytes) / 9 * 10; want > cfg.MaxBytes {
		larger := cfg
		larger.MaxBytes = want
		if _, err := s.js.UpdateStream(ctx, larger); err != nil {
			s.deps.Log.Warn("the bus has no room for files.max_bytes; fewer are kept", "wanted", int64(s.cfg.MaxBytes), "kept", cfg.MaxBytes/10*9, "error", err)
		} else {
			cfg = larger
		}
	}
	s.stream, s.room = stream, cfg.MaxBytes/10*9
	if s.cfg.MaxBytes > 0 {
		s.room = min(s.room, int64(s.cfg.MaxBytes))
	}
	return nil
}

// Stop ends the clearing away.
func (s *Store) Stop(ctx context.Context) error {
	s.mu.Lock()
	cancel := s.cancel
	s.cancel = nil
	s.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the store of files: %w", ctx.Err())
	}
}

func (s *Store) opened() (jetstream.JetStream, jetstream.Stream, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.js, s.stream, s.room
}

// Answers are what the store answers to peels.
func (s *Store) Answers() map[string]bus.Answerer {
	return map[string]bus.Answerer{blob.AskGet: s.onGet, blob.AskBegin: s.onBegin, blob.AskPut: s.onPut, blob.AskDone: s.onDone}
}
