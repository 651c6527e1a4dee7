package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// Lease is the right to do one kind of work, held for a term by the database's
// clock and renewed. Its epoch rises with each change of the holder.
type Lease struct {
	Name  string
	Epoch int64

	deadline time.Time // by this process's monotonic clock: the work stops before the term ends
}

// Holding is a lease as others see it.
type Holding struct {
	Name   string    `json:"name"`
	Holder string    `json:"holder"` // a node's id
	Epoch  int64     `json:"epoch"`
	Until  time.Time `json:"until"` // by the database's clock
	Held   bool      `json:"held"`  // its term has not ended
}

// leases are what this process holds, and what wakes those that wait for one.
type leases struct {
	mu    sync.Mutex
	all   map[string]*Lease
	wakes []chan struct{}
}

func (l *leases) waker() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := make(chan struct{}, 1)
	l.wakes = append(l.wakes, c)
	return c
}

func (l *leases) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.wakes {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (l *leases) set(name string, lease *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease == nil {
		delete(l.all, name)
		return
	}
	l.all[name] = lease
}

// Held are the names of the leases that this process holds.
func (m *Member) Held() []string {
	m.held.mu.Lock()
	defer m.held.mu.Unlock()
	names := make([]string, 0, len(m.held.all))
	for name := range m.held.all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ErrSuperseded is what a fenced transaction ends with when another process
// holds the lease by now. Nothing was written.
var ErrSuperseded = errs.New(errs.Conflict, "another node holds the lease by now: nothing was written")

// Hold competes for a lease until the context ends, and runs work while it is
// held. The context of the work ends before the term does when the lease
// cannot be renewed, and when the node drains; Hold waits for the work to
// return before it competes again.
func (m *Member) Hold(ctx context.Context, name string, work func(ctx context.Context, l *Lease)) {
	wake := m.held.waker()
	for ctx.Err() == nil {
		if !m.Draining() {
			l, ok, err := m.acquire(ctx, name, 0)
			switch {
			case err != nil && ctx.Err() == nil:
				m.deps.Log.Warn("a lease could not be taken", "lease", name, "error", err)
			case ok:
				m.keep(ctx, l, wake, work)
				continue
			}
		}
		if !pause(ctx, m.cfg.Term/3, wake) {
			return
		}
	}
}

// keep runs the work and renews the lease until it is lost, given up or no
// longer wanted.
func (m *Member) keep(ctx context.Context, l *Lease, wake <-chan struct{}, work func(context.Context, *Lease)) {
	m.held.set(l.Name, l)
	m.metrics.leases.WithLabelValues(l.Name).Set(1)
	m.deps.Log.Info("lease taken", "lease", l.Name, "epoch", l.Epoch)
	at, lost := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(at, l)
	}()
	why := m.renew(ctx, l, wake)
	lost()
	m.held.set(l.Name, nil)
	m.metrics.leases.WithLabelValues(l.Name).Set(0)
	<-done
	m.deps.Log.Info("lease let go", "lease", l.Name, "epoch", l.Epoch, "because", why)
	if why == lapsed || why == taken {
		m.metrics.lost.WithLabelValues(l.Name).Inc()
		return
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.cfg.Term/3)
	defer cancel()
	if err := m.release(end, l); err != nil {
		m.deps.Log.Warn("a lease was not given back; others wait for its term to end", "lease", l.Name, "error", err)
	}
}

// Why a lease is no longer held.
const (
	lapsed   = "it could not be renewed in time"
	taken    = "another node has it"
	stopping = "the node stops"
	drains   = "the node drains"
)

// renew renews until the lease is not held any more, and says why.
func (m *Member) renew(ctx context.Context, l *Lease, wake <-chan struct{}) string {
	deadline := l.deadline
	for {
		next := time.NewTimer(min(m.cfg.Term/3, time.Until(deadline)))
		select {
		case <-ctx.Done():
			next.Stop()
			return stopping
		case <-wake:
			next.Stop()
		case <-next.C:
		}
		if m.Draining() {
			return drains
		}
		left, cancel := context.WithDeadline(ctx, deadline)
		again, ok, err := m.acquire(left, l.Name, l.Epoch)
		cancel()
		switch {
		case err == nil && (!ok || again.Epoch != l.Epoch):
			return taken
		case err == nil:
			deadline = again.deadline
		case ctx.Err() != nil:
			return stopping
		case !time.Now().Before(deadline):
			return lapsed
		default:
			m.deps.Log.Warn("a lease could not be renewed yet", "lease", l.Name, "left", time.Until(deadline).Round(time.Millisecond), "error", err)
		}
	}
}

// acquire takes a lease, or renews the one of the epoch. ok is false while
// another process holds it.
func (m *Member) acquire(ctx context.Context, name string, epoch int64) (l *Lease, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Term/3)
	defer cancel()
	asked := time.Now()
	now := m.clock()
	l = &Lease{Name: name, deadline: asked.Add(m.cfg.Term - m.cfg.Term/10)}
	err = m.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		ok = false
		err := tx.QueryRow(ctx, `INSERT INTO leases AS l (name, holder, epoch, until_us) VALUES ($1, $2, 1, `+now+` + $3)
			ON CONFLICT (name) DO UPDATE SET
				epoch = CASE WHEN l.holder = excluded.holder THEN l.epoch ELSE l.epoch + 1 END,
				holder = excluded.holder, until_us = excluded.until_us
			WHERE l.holder = excluded.holder OR l.until_us < `+now+`
			RETURNING epoch`, name, m.id, m.cfg.Term.Microseconds()).Scan(&l.Epoch)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		if l.Epoch == epoch {
			return nil
		}
		// This waits for the transactions of the last holder that are under
		// way, and turns away those that come.
		_, err = tx.Exec(ctx, `INSERT INTO fences (name, epoch) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch`, name, l.Epoch)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("taking the lease %q: %w", name, err)
	}
	return l, ok, nil
}

// release ends the term, so that nobody has to wait for it.
func (m *Member) release(ctx context.Context, l *Lease) error {
	_, err := m.deps.DB.Exec(ctx, `UPDATE leases SET until_us = 0 WHERE name = $1 AND holder = $2 AND epoch = $3`, l.Name, m.id, l.Epoch)
	return err
}

// Fenced runs fn in a transaction that the database refuses when the lease has
// another holder by now: the next holder waits for it to end, or it ends with
// ErrSuperseded. fn keeps to the rules of DB.Tx.
func (m *Member) Fenced(ctx context.Context, l *Lease, fn func(tx *database.Tx) error) error {
	err := m.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		if err := m.Fence(ctx, tx, l); err != nil {
			return err
		}
		return fn(tx)
	})
	if errors.Is(err, ErrSuperseded) {
		m.metrics.refused.WithLabelValues(l.Name).Inc()
	}
	return err
}

// Fence checks in a transaction that the lease is still this process's, and
// keeps it so until the transaction ends. It comes first in it.
func (m *Member) Fence(ctx context.Context, tx *database.Tx, l *Lease) error {
	if tx.Engine() == database.PostgreSQL {
		// A holder that is cut off must not hold up the next one for long.
		if _, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', $1, true)`, fmt.Sprintf("%dms", m.cfg.Term.Milliseconds())); err != nil {
			return err
		}
	}
	var epoch int64
	err := tx.QueryRow(ctx, `SELECT epoch FROM fences WHERE name = $1`+lockRow(tx.Engine(), "FOR SHARE"), l.Name).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) || err == nil && epoch != l.Epoch {
		return fmt.Errorf("the lease %q of epoch %d: %w", l.Name, l.Epoch, ErrSuperseded)
	}
	return err
}

// Leases lists all leases by name.
func (m *Member) Leases(ctx context.Context) ([]Holding, error) {
	rows, err := m.deps.DB.Query(ctx, `SELECT name, holder, epoch, until_us, `+m.clock()+` FROM leases ORDER BY name LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("listing leases: %w", err)
	}
	defer rows.Close()
	out := []Holding{}
	for rows.Next() {
		var h Holding
		var until, now int64
		if err := rows.Scan(&h.Name, &h.Holder, &h.Epoch, &until, &now); err != nil {
			return nil, fmt.Errorf("listing leases: %w", err)
		}
		h.Until, h.Held = database.FromMicros(until), until > now
		if !h.Held {
			h.Holder = ""
		}
		out = append(out, h)
	}
	return out, rows.Err()
}
