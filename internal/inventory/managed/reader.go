package managed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/fleet"
)

// Topic is announced to all processes when the table has changed.
const Topic = "managed"

// firstRead bounds how long a start waits for the names; they are read in the
// background then.
const firstRead = 10 * time.Second

// readLimit bounds one read of the table.
const readLimit = time.Minute

// Reader knows what the table says: all of it at the start, and what changes.
// Use NewReader.
type Reader struct {
	names
	db    *database.DB
	log   *slog.Logger
	every time.Duration

	failed prometheus.Counter
	rows   prometheus.Counter

	mu       sync.Mutex // one read at a time
	revision int64      // read so far
	hosts    map[fleet.PeelID][]netip.Addr
	silent   bool // the last read failed

	wake    chan struct{}
	stop    context.CancelFunc
	working sync.WaitGroup
}

var _ lifecycle.Component = (*Reader)(nil)

// NewReader makes a reader that asks for changes so often, beside being woken.
func NewReader(db *database.DB, every time.Duration, log *slog.Logger, reg prometheus.Registerer) *Reader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Reader{db: db, log: log, every: every, hosts: map[fleet.PeelID][]netip.Addr{}, wake: make(chan struct{}, 1),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_managed_read_failures_total", Help: "Times that the table of managed hosts could not be read; what was known stays in use."}),
		rows:   prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_managed_rows_read_total", Help: "Rows of the table of managed hosts that were read."}),
	}
	r.observe(reg)
	if reg != nil {
		reg.MustRegister(r.failed, r.rows)
	}
	return r
}

// Wake has the changes read soon. It returns at once.
func (r *Reader) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Start reads the table and goes on in the background. A node takes reports
// also when the table cannot be read.
func (r *Reader) Start(ctx context.Context) error {
	first, cancel := context.WithTimeout(ctx, firstRead)
	r.look(first)
	cancel()
	running, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.working.Go(func() {
		tick := time.NewTicker(r.every)
		defer tick.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-tick.C:
			case <-r.wake:
			}
			ctx, cancel := context.WithTimeout(running, readLimit)
			r.look(ctx)
			cancel()
		}
	})
	return nil
}

// Stop ends it.
func (r *Reader) Stop(context.Context) error {
	if r.stop != nil {
		r.stop()
		r.working.Wait()
	}
	return nil
}

// look reads what has changed. A failure is told of once, until it goes well.
func (r *Reader) look(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.read(ctx)
	if err == nil {
		r.silent = false
		return
	}
	r.failed.Inc()
	if !r.silent && !errors.Is(ctx.Err(), context.Canceled) {
		r.log.Warn("which hosts are managed could not be read; flows have the names that were known before, and it is tried again", "every", r.every, "error", err)
		r.silent = true
	}
}

// read reads what is newer than what is known, or all when that does not do.
func (r *Reader) read(ctx context.Context) error {
	at := time.Now()
	s, err := readState(ctx, r.db)
	if err != nil {
		return fmt.Errorf("reading how far the table of managed hosts is: %w", err)
	}
	known := r.known.Load()
	if known != nil && s.revision == r.revision {
		r.names.read.Store(&at)
		return nil
	}
	n := view{addresses: map[netip.Addr]fleet.PeelID{}, hosts: map[fleet.PeelID][]netip.Addr{}}
	// Else all: another database, or one that has deleted what was never read here.
	if known != nil && r.revision > 0 && s.revision > r.revision && s.forgotten <= r.revision {
		n = view{addresses: maps.Clone(*known), hosts: r.hosts, revision: r.revision}
	}
	from := n.revision
	err = readAfter(ctx, r.db, from, func(row row) {
		r.rows.Inc()
		n.take(row)
	})
	after := state{}
	if err == nil {
		after, err = readState(ctx, r.db)
	}
	if err != nil || from > 0 && after.forgotten > from {
		r.revision = 0 // hosts is half-way by now: all is read next time
		return err
	}
	// Every row up to the revision that stood there at the beginning was seen.
	r.hosts, r.revision = n.hosts, max(n.revision, s.revision)
	r.set(n.addresses, at)
	return nil
}

// view is what rows make together.
type view struct {
	addresses map[netip.Addr]fleet.PeelID
	hosts     map[fleet.PeelID][]netip.Addr
	revision  int64
}

// take exchanges what is known of the row's host. An address that has passed
// from one host to another stays with the other one, whichever row comes first.
func (v *view) take(row row) {
	v.revision = row.revision
	for _, a := range v.hosts[row.id] {
		if v.addresses[a] == row.id {
			delete(v.addresses, a)
		}
	}
	delete(v.hosts, row.id)
	all := unpack(row.addresses)
	if len(all) == 0 {
		return
	}
	v.hosts[row.id] = all
	for _, a := range all {
		v.addresses[a] = row.id
	}
}
