package managed

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// lease names the right to write the table.
const lease = "managed"

// forgetEvery is how often rows of hosts that are gone are deleted.
const forgetEvery = time.Hour

// WriterDeps are what a writer stands on. Log and Metrics may be empty.
type WriterDeps struct {
	DB      *database.DB
	Member  *cluster.Member // competes for the lease; it need not be started
	Owners  func() (all []fleet.HostAddresses, ok bool)
	Every   time.Duration // between two looks at what the master knows
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // optional
}

// Writer is a master's part: it holds the lease, or waits for it, and keeps
// the table as the master knows its hosts. Use NewWriter.
type Writer struct {
	deps WriterDeps

	written  map[fleet.PeelID]packed // what the table has; nil is not known
	revision int64                   // of the last write
	forgot   time.Time
	looked   time.Duration // how long the last look at what the master knows took

	holds  prometheus.Gauge
	left   prometheus.Gauge
	rows   *prometheus.CounterVec
	failed prometheus.Counter

	stop    context.CancelFunc
	working sync.WaitGroup
}

var _ lifecycle.Component = (*Writer)(nil)

// NewWriter makes a writer that has not begun.
func NewWriter(deps WriterDeps) *Writer {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	w := &Writer{
		deps:   deps,
		holds:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_managed_writing", Help: "1 while this master writes the table of managed hosts that nodes of their own read, 0 while another one does."}),
		left:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_managed_addresses_left_out", Help: "Addresses of hosts with more than 64 that are not told to nodes."}),
		rows:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_managed_rows_written_total", Help: "Rows of the table of managed hosts that were written, by what became of the host: changed or gone; or deleted, a day after it went."}, []string{"change"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_managed_write_failures_total", Help: "Times that the table of managed hosts could not be written; it is tried again."}),
	}
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(w.holds, w.left, w.rows, w.failed)
	}
	return w
}

// Start competes for the lease in the background.
func (w *Writer) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.working.Go(func() { w.deps.Member.Hold(ctx, lease, w.work) })
	return nil
}

// Stop ends it and gives the lease back.
func (w *Writer) Stop(ctx context.Context) error {
	if w.stop == nil {
		return nil
	}
	w.stop()
	done := make(chan struct{})
	go func() { w.working.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping to tell nodes of managed hosts: %w", ctx.Err())
	}
}

// work keeps the table while the lease is held.
func (w *Writer) work(ctx context.Context, l *cluster.Lease) {
	w.holds.Set(1)
	defer w.holds.Set(0)
	w.written = nil // another one may have written
	for {
		if err := w.pass(ctx, l); err != nil && ctx.Err() == nil {
			w.written = nil
			w.failed.Inc()
			w.deps.Log.Warn("nodes could not be told of managed hosts; it is tried again", "every", w.deps.Every, "error", err)
		}
		next := time.NewTimer(max(w.deps.Every, min(restFor*w.looked, longestRest)))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
}

// A look at very many hosts takes half a second of a core: it rests for so many
// times as long, up to a minute.
const (
	restFor     = 50
	longestRest = time.Minute
)

// pass writes what has changed since the last one, and says so.
func (w *Writer) pass(ctx context.Context, l *cluster.Lease) error {
	began := time.Now()
	all, ok := w.deps.Owners()
	w.looked = time.Since(began)
	if !ok {
		return nil
	}
	if err := w.load(ctx); err != nil {
		return err
	}
	changes := w.compare(all)
	for rest := changes; len(rest) > 0; {
		n := min(len(rest), batchRows)
		if err := w.write(ctx, l, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if err := w.forget(ctx, l); err != nil {
		return err
	}
	if len(changes) == 0 {
		return nil
	}
	w.deps.Log.Debug("nodes are told of managed hosts", "rows", len(changes), "revision", w.revision)
	return w.deps.Member.Announce(ctx, Topic)
}

// load reads the table, unless what is known of it is its last revision: the
// database may have lost the last ones in a failover.
func (w *Writer) load(ctx context.Context) error {
	s, err := readState(ctx, w.deps.DB)
	if err != nil || w.written != nil && s.revision == w.revision {
		return err
	}
	written, revision := map[fleet.PeelID]packed{}, s.revision
	if err := readAfter(ctx, w.deps.DB, 0, func(r row) {
		if len(r.addresses) > 0 {
			written[r.id] = packed{string(r.addresses), string(r.macs)}
		}
	}); err != nil {
		return err
	}
	w.written, w.revision = written, revision
	return nil
}

// compare lists what the table lacks, and what it has too much.
func (w *Writer) compare(all []fleet.HostAddresses) []change {
	var changes []change
	there := make(map[fleet.PeelID]bool, len(all))
	left := 0
	for _, h := range all {
		p, more := pack(h)
		left += more
		if p.addresses == "" {
			continue
		}
		there[h.ID] = true
		if w.written[h.ID] != p {
			changes = append(changes, change{h.ID, p})
		}
	}
	w.left.Set(float64(left))
	for id := range maps.Keys(w.written) {
		if !there[id] {
			changes = append(changes, change{id: id})
		}
	}
	return changes
}

// write writes one batch, if the lease is still held.
func (w *Writer) write(ctx context.Context, l *cluster.Lease, batch []change) error {
	var revision int64
	err := w.deps.Member.Fenced(ctx, l, func(tx *database.Tx) (err error) {
		var ok bool
		if revision, ok, err = write(ctx, tx, w.revision, batch, w.deps.Now()); err == nil && !ok {
			err = fmt.Errorf("the table is at revision %d, and was left at %d: it is read anew", revision, w.revision)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("writing %d managed hosts: %w", len(batch), err)
	}
	w.revision = revision
	for _, c := range batch {
		if c.to.addresses == "" {
			delete(w.written, c.id)
			w.rows.WithLabelValues("gone").Inc()
		} else {
			w.written[c.id] = c.to
			w.rows.WithLabelValues("changed").Inc()
		}
	}
	return nil
}

// forget deletes, now and then, what every node has read long ago.
func (w *Writer) forget(ctx context.Context, l *cluster.Lease) error {
	now := w.deps.Now()
	if now.Sub(w.forgot) < forgetEvery {
		return nil
	}
	var n int64
	if err := w.deps.Member.Fenced(ctx, l, func(tx *database.Tx) (err error) {
		n, err = forget(ctx, tx, now.Add(-keepGone))
		return err
	}); err != nil {
		return fmt.Errorf("forgetting hosts that are gone: %w", err)
	}
	w.forgot = now
	w.rows.WithLabelValues("deleted").Add(float64(n))
	return nil
}
