package tap

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
)

const (
	readWait   = 50 * time.Millisecond // how late a cut can be on a silent interface
	minReopen  = time.Second
	maxReopen  = time.Minute
	drainFor   = 500 * time.Millisecond
	statsEvery = time.Second // the kernel's counters have 32 bits
)

// station is one interface: its sources, and a worker for each.
type station struct {
	name     string
	log      *slog.Logger
	open     func() ([]capture.Source, error)
	workers  []*worker
	metrics  *metrics
	settings Capture
	cancel   context.CancelFunc // ends it alone; set by begin

	mu   sync.Mutex
	err  error
	ring uint64
}

// cutRequest asks for the report up to a moment. It brings back one that was
// written, whose lists serve again.
type cutRequest struct {
	end   time.Time
	reply chan<- network.Report
	used  network.Report
}

func newStation(i Interface, cfg Config, deps Deps, m *metrics, due chan<- struct{}) *station {
	settings := cfg.Capture.Of(i)
	s := &station{
		name: i.Name, log: deps.Log.With("interface", i.Name), metrics: m, settings: settings,
		open: func() ([]capture.Source, error) { return deps.Sources(i.Name, settings) },
		err:  errors.New("not opened yet"),
	}
	for n := range max(settings.Workers, 1) {
		s.workers = append(s.workers, newWorker(n, i.Name, settings, cfg.Flow, s.log, due))
	}
	return s
}

// run captures until the context ends. An interface that cannot be opened, or
// disappears, is tried again; what its pipelines hold is reported meanwhile.
func (s *station) run(ctx context.Context) {
	wait := minReopen
	for ctx.Err() == nil {
		opened := time.Now()
		err := s.attempt(ctx)
		if time.Since(opened) > maxReopen {
			wait = minReopen
		}
		if ctx.Err() != nil {
			break
		}
		s.set(err, nil)
		s.log.Warn("the interface gives no packets and will be tried again", "error", err, "in", wait)
		s.idle(ctx, wait/2+rand.N(wait/2))
		wait = min(2*wait, maxReopen)
	}
	for _, w := range s.workers {
		w.finish()
	}
}

// attempt opens the interface and captures until one of its workers fails or
// the context ends.
func (s *station) attempt(ctx context.Context) error {
	sources, err := s.open()
	if err != nil {
		return err
	}
	s.set(nil, sources)
	s.log.Info("capturing", "workers", len(sources))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, len(sources))
	var working sync.WaitGroup
	for i, src := range sources {
		working.Go(func() {
			failed[i] = s.workers[i].capture(ctx, src)
			cancel() // one without the others would see a part of the traffic
		})
	}
	working.Wait()
	return errors.Join(failed...)
}

// idle answers cuts while there is no source.
func (s *station) idle(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var idling sync.WaitGroup
	for _, w := range s.workers {
		idling.Go(func() { w.idle(ctx) })
	}
	idling.Wait()
}

// ended returns what a station reports at last, once its context ended.
func (s *station) ended() network.Report {
	var of []network.Report
	for _, w := range s.workers {
		of = append(of, <-w.last)
	}
	return mergeWorkers(of)
}

// set notes how the interface is.
func (s *station) set(err error, sources []capture.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.ring = err, 0
	for _, src := range sources {
		if st, err := src.Stats(); err == nil {
			s.ring += st.RingSize
		}
	}
	up := 0.0
	if err == nil {
		up = 1
	}
	s.metrics.up.WithLabelValues(s.name).Set(up)
	s.metrics.ring.WithLabelValues(s.name).Set(float64(s.ring))
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
