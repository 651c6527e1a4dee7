package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/store"
)

// Service takes reports and keeps the list of taps.
type Service struct {
	cfg      Config
	db       *database.DB
	store    *store.Store
	log      *slog.Logger
	now      func() time.Time
	pressure func() bool
	decoder  *report.Decoder
	queue    *queue
	tokens   *tokens
	slow     *slowness
	metrics  *metrics

	running  context.Context // of the transactions
	cancel   context.CancelFunc
	writing  sync.WaitGroup
	stopping atomic.Bool
}

// New makes a service; it needs no start.
func New(cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.complete(deps.DB.Engine())
	decoder, err := report.NewDecoder(cfg.Limits)
	if err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Pressure == nil {
		deps.Pressure = func() bool { return false }
	}
	s := &Service{
		cfg: cfg, db: deps.DB, store: deps.Store, log: deps.Log, now: deps.Now, pressure: deps.Pressure, decoder: decoder,
		queue: newQueue(cfg.QueueBytes, cfg.Concurrent),
	}
	s.tokens, s.slow = newTokens(s.loadToken, deps.Now), newSlowness(deps.Now)
	s.running, s.cancel = context.WithCancel(context.Background())
	s.metrics = newMetrics(s, deps.Metrics)
	return s, nil
}

// Stop takes no further report and returns when those that were taken have
// been committed and answered, or ctx ends.
func (s *Service) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	defer s.cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !s.queue.idle() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d reports to be committed: %w", s.queue.load().Requests, ctx.Err())
		case <-tick.C:
		}
	}
	s.writing.Wait()
	return nil
}

// Load tells how much there is to do.
func (s *Service) Load() Load { return s.queue.load() }

// spoolAge is longer than a tap's spool keeps a report, as long as nobody sets
// spool.max_age to more than a month.
const spoolAge = 31 * 24 * time.Hour

// purgeSlice is the time of which identities are deleted at once, so that no
// statement is long.
const purgeSlice = time.Hour

// Purge forgets identities of reports that would be refused for their age by
// now, and that no spool holds any more, and returns how many.
func (s *Service) Purge(ctx context.Context) (int64, error) {
	// A report ends at most MaxAhead after it was received. The day is a
	// margin for clocks of nodes that differ. That spools hold it matters when
	// the retention is short, or was when it came.
	cutoff := database.Micros(s.now().Add(-max(s.cfg.MaxAge, spoolAge) - s.cfg.MaxAhead - 24*time.Hour))
	var total int64
	for {
		var oldest *int64
		if err := s.db.QueryRow(ctx, `SELECT MIN(received_us) FROM reports`).Scan(&oldest); err != nil {
			return total, fmt.Errorf("looking for identities of old reports: %w", err)
		}
		if oldest == nil || *oldest >= cutoff {
			return total, nil
		}
		n, err := s.db.Exec(ctx, `DELETE FROM reports WHERE received_us < $1`, min(cutoff, *oldest+purgeSlice.Microseconds()))
		if err != nil {
			return total, fmt.Errorf("deleting identities of old reports: %w", err)
		}
		total += n
	}
}
