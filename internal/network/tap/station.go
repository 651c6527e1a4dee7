package tap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

const (
	readWait   = 50 * time.Millisecond // how late a cut can be on a silent interface
	minReopen  = time.Second
	maxReopen  = time.Minute
	drainFor   = 500 * time.Millisecond
	statsEvery = time.Second // the kernel's counters have 32 bits
)

// station is one interface: its source, its pipeline, and the goroutine that
// owns both.
type station struct {
	name    string
	log     *slog.Logger
	open    func(string) (capture.Source, error)
	pipe    *pipeline.Pipeline
	metrics *metrics
	due     chan<- struct{}
	cuts    chan cutRequest
	last    chan network.Report // what the pipeline held at the end

	dropped uint64    // of the source in hand, counted already
	asked   time.Time // when the source was last asked for its counters

	mu   sync.Mutex
	err  error
	ring uint64
}

// cutRequest asks for the report up to a moment.
type cutRequest struct {
	end   time.Time
	reply chan<- network.Report
}

func newStation(name string, cfg Flow, deps Deps, m *metrics, due chan<- struct{}) *station {
	return &station{
		name: name, log: deps.Log.With("interface", name), open: deps.Source, metrics: m, due: due,
		pipe: pipeline.New(pipeline.Config{Interface: name, MaxFlows: cfg.MaxFlows, Seed: cfg.Seed, Log: deps.Log}),
		cuts: make(chan cutRequest), last: make(chan network.Report, 1),
		err: errors.New("not opened yet"),
	}
}

// run captures until the context ends. An interface that cannot be opened, or
// disappears, is tried again; what its pipeline holds is reported meanwhile.
func (s *station) run(ctx context.Context) {
	wait := minReopen
	for ctx.Err() == nil {
		src, err := s.open(s.name)
		if err == nil {
			s.set(nil, src)
			s.log.Info("capturing")
			opened := time.Now()
			err = s.capture(ctx, src)
			if time.Since(opened) > maxReopen {
				wait = minReopen
			}
		}
		if ctx.Err() != nil {
			break
		}
		s.set(err, nil)
		s.log.Warn("the interface gives no packets and will be tried again", "error", err, "in", wait)
		s.idle(ctx, wait/2+rand.N(wait/2))
		wait = min(2*wait, maxReopen)
	}
	s.last <- s.pipe.Finish(time.Now())
}

// capture reads a source until it fails or the context ends.
func (s *station) capture(ctx context.Context, src capture.Source) error {
	s.dropped = 0
	var err error
	for err == nil && ctx.Err() == nil {
		_, err = src.Read(s.pipe, readWait)
		if time.Since(s.asked) > statsEvery {
			s.drops(src)
		}
		if s.pipe.Due() {
			select {
			case s.due <- struct{}{}:
			default:
			}
		}
		select {
		case c := <-s.cuts:
			s.drops(src)
			c.reply <- s.pipe.Cut(c.end)
		default:
		}
	}
	if err == nil {
		s.drain(src)
	}
	s.drops(src)
	if closing := src.Close(); closing != nil {
		s.log.Warn("the source could not be closed", "error", closing)
	}
	if err != nil {
		return fmt.Errorf("capturing: %w", err)
	}
	return nil
}

// drain reads what the source holds already, for a moment at most.
func (s *station) drain(src capture.Source) {
	for began := time.Now(); time.Since(began) < drainFor; {
		if n, err := src.Read(s.pipe, 0); n == 0 || err != nil {
			return
		}
	}
}

// drops puts into the ledger what the kernel dropped since the last time.
func (s *station) drops(src capture.Source) {
	s.asked = time.Now()
	st, err := src.Stats()
	if err != nil {
		s.log.Debug("the source's counters could not be read", "error", err)
		return
	}
	if st.Dropped > s.dropped {
		s.pipe.ReceivedKernelDrops(st.Dropped - s.dropped)
		s.dropped = st.Dropped
	}
}

// idle answers cuts while there is no source.
func (s *station) idle(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case c := <-s.cuts:
			c.reply <- s.pipe.Cut(c.end)
		}
	}
}

// set notes how the interface is.
func (s *station) set(err error, src capture.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.ring = err, 0
	if src != nil {
		if st, err := src.Stats(); err == nil {
			s.ring = st.RingSize
		}
	}
	up := 0.0
	if err == nil {
		up = 1
	}
	s.metrics.up.WithLabelValues(s.name).Set(up)
}

// trouble says what is wrong with the interface, or nil.
func (s *station) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *station) ringBytes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring
}
