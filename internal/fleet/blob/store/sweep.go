package store

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// sweepLoop clears away what is too old. Every server does, which changes
// nothing.
func (s *Store) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("cannot clear away old files yet", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep removes the files that are expired, and those that were begun and left.
func (s *Store) Sweep(ctx context.Context) error {
	now := s.deps.Now()
	expired, err := s.list(ctx, `expires_at < $1`, database.Micros(now))
	if err != nil {
		return err
	}
	if err := s.removeAll(ctx, expired, "expired"); err != nil {
		return err
	}
	abandoned, err := s.list(ctx, `complete = FALSE AND changed_at < $1`, database.Micros(now.Add(-partialLife)))
	if err != nil {
		return err
	}
	return s.removeAll(ctx, abandoned, "abandoned")
}

// Forget removes all that a peel has brought.
func (s *Store) Forget(ctx context.Context, id fleet.PeelID) error {
	for {
		all, err := s.list(ctx, `owner = $1`, string(OfPeel(id)))
		if err != nil || len(all) == 0 {
			return err
		}
		if err := s.removeAll(ctx, all, "deleted"); err != nil {
			return err
		}
	}
}

func (s *Store) removeAll(ctx context.Context, all []*file, event string) error {
	for _, f := range all {
		if err := s.remove(ctx, f); err != nil {
			return err
		}
		s.metrics.files.WithLabelValues(event).Inc()
	}
	return nil
}

// remove takes the row away first, so that nobody begins to read what goes.
func (s *Store) remove(ctx context.Context, f *file) error {
	_, stream, _ := s.opened()
	if stream == nil {
		return errs.New(errs.Unavailable, "the store of files does not run")
	}
	if _, err := s.deps.DB.Exec(ctx, `DELETE FROM blob_files WHERE owner = $1 AND sha256 = $2 AND generation = $3`, string(f.owner), f.sum, f.generation); err != nil {
		return fmt.Errorf("removing a file: %w", err)
	}
	s.known.forget(f.owner, f.sum)
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(f.prefix()+">")); err != nil {
		return bus.Explain(bus.FilesStream, err)
	}
	return nil
}

func (s *Store) list(ctx context.Context, where string, args ...any) ([]*file, error) {
	rows, err := s.deps.DB.Query(ctx, `SELECT `+columns+` FROM blob_files WHERE `+where+` ORDER BY expires_at LIMIT 1000`, args...)
	if err != nil {
		return nil, fmt.Errorf("listing files: %w", err)
	}
	defer rows.Close()
	var all []*file
	for rows.Next() {
		f, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("listing files: %w", err)
		}
		all = append(all, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing files: %w", err)
	}
	return all, nil
}
