package acme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// lockTerm is how long a lock outlives its holder; it is renewed meanwhile.
// lockWait is the time between two tries.
const (
	lockTerm = time.Minute
	lockWait = 500 * time.Millisecond
)

// held is a lock of this process.
type held struct {
	holder string
	stop   context.CancelFunc
	done   chan struct{}
}

// clock is the database's time in microseconds, which all servers share.
func clock(e database.Engine) string {
	if e == database.PostgreSQL {
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
	}
	return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS BIGINT) * 1000"
}

// Lock implements certmagic.Locker: it waits until nobody else of the fleet
// has the lock, and keeps it until Unlock or until this process is gone.
func (s *storage) Lock(ctx context.Context, name string) error {
	holder := database.NewID()
	for {
		ok, err := s.take(ctx, name, holder, lockTerm)
		if err != nil {
			return fmt.Errorf("locking %q: %w", name, err)
		}
		if ok {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("locking %q: %w", name, ctx.Err())
		case <-time.After(lockWait):
		}
	}
	running, stop := context.WithCancel(context.Background())
	h := &held{holder: holder, stop: stop, done: make(chan struct{})}
	s.mu.Lock()
	s.held[name] = h
	s.mu.Unlock()
	go s.keep(running, name, h)
	return nil
}

// take takes a lock that is free, has run out, or is the holder's.
func (s *storage) take(ctx context.Context, name, holder string, term time.Duration) (bool, error) {
	now := clock(s.db.Engine())
	n, err := s.db.Exec(ctx, `INSERT INTO acme_locks AS l (name, holder, until_us) VALUES ($1, $2, `+now+` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_us = excluded.until_us
		WHERE l.holder = excluded.holder OR l.until_us < `+now, name, holder, term.Microseconds())
	return n > 0, err
}

// keep renews a lock while its holder works.
func (s *storage) keep(ctx context.Context, name string, h *held) {
	defer close(h.done)
	tick := time.NewTicker(lockTerm / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = s.take(ctx, name, h.holder, lockTerm) // the next tick tries again; the work is idempotent
		}
	}
}

// Unlock implements certmagic.Locker.
func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if h == nil {
		return errors.New("unlocking what is not locked: " + name)
	}
	h.stop()
	<-h.done
	if _, err := s.db.Exec(ctx, `DELETE FROM acme_locks WHERE name = $1 AND holder = $2`, name, h.holder); err != nil {
		return fmt.Errorf("unlocking %q: %w", name, err)
	}
	return nil
}

// RenewLockLease implements certmagic.LockLeaseRenewer.
func (s *storage) RenewLockLease(ctx context.Context, name string, term time.Duration) error {
	s.mu.Lock()
	h := s.held[name]
	s.mu.Unlock()
	if h == nil {
		return errors.New("renewing what is not locked: " + name)
	}
	ok, err := s.take(ctx, name, h.holder, max(term, lockTerm))
	if err == nil && !ok {
		err = errors.New("another server has taken it meanwhile")
	}
	if err != nil {
		return fmt.Errorf("renewing the lock %q: %w", name, err)
	}
	return nil
}
