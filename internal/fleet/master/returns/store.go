// Package returns reads what peels returned to jobs, in the bucket job-returns:
// a key for each return, or for each part of one that is long.
package returns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
)

// maxLoaded bounds the bytes of values that Load returns. Returns beyond it
// come without their value.
const maxLoaded = 128 << 20

// Deps are what a store needs.
type Deps struct {
	Bucket jetstream.KeyValue // job-returns
	JS     jetstream.JetStream
	Log    *slog.Logger
	// Malformed counts what is in the bucket and cannot be read.
	Malformed prometheus.Counter
}

// Store reads returns. Use New.
type Store struct{ deps Deps }

// New makes a store.
func New(deps Deps) *Store { return &Store{deps} }

// Get returns what a peel returned to a job, when all of it is stored.
func (s *Store) Get(ctx context.Context, jid string, id fleet.PeelID) (fleet.Return, error) {
	e, err := s.deps.Bucket.Get(ctx, bus.ReturnKey(jid, id, 0))
	if err != nil {
		return fleet.Return{}, fmt.Errorf("reading a return: %w", err)
	}
	p, err := job.ParsePart(e.Value(), jid, id, 0)
	if err != nil || p.Of == 0 {
		return p.Return, err
	}
	return s.Join(ctx, jid, id, p.Of)
}

// Has reports whether a peel has returned something to a job.
func (s *Store) Has(ctx context.Context, jid string, id fleet.PeelID) (bool, error) {
	_, err := s.deps.Bucket.Get(ctx, bus.ReturnKey(jid, id, 0))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, bus.Explain(bus.JobReturns, err)
}

// Count returns to how many peels' returns the bucket has the first part.
func (s *Store) Count(ctx context.Context, jid string) (int, error) {
	stream, err := s.deps.JS.Stream(ctx, "KV_"+bus.JobReturns)
	if err != nil {
		return 0, bus.Explain(bus.JobReturns, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("$KV."+bus.JobReturns+"."+jid+".*.0"))
	if err != nil {
		return 0, bus.Explain(bus.JobReturns, err)
	}
	return len(info.State.Subjects), nil
}

// Watch follows the returns to a job as they are stored.
func (s *Store) Watch(ctx context.Context, jid string) (jetstream.KeyWatcher, error) {
	w, err := s.deps.Bucket.Watch(ctx, jid+".*.*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("reading the returns of %s: %w", jid, bus.Explain(bus.JobReturns, err))
	}
	return w, nil
}

// errSilent says that a list stopped in the middle: the server that made it is
// gone, and the client notices that only much later by itself.
var errSilent = errors.New("the bus stopped in the middle of the list")

// silence is how long a list may say nothing.
const silence = 3 * time.Second

// Each calls fn for every complete return to a job. It begins again when the
// list of them stops in the middle; before each try it calls begin.
func (s *Store) Each(ctx context.Context, jid string, begin func(), fn func(fleet.Return)) error {
	for {
		begin()
		if err := s.each(ctx, jid, fn); !errors.Is(err, errSilent) || ctx.Err() != nil {
			return err
		}
	}
}

// each calls fn for every complete return to a job in the bucket. Parts
// are joined when all of them are there.
func (s *Store) each(ctx context.Context, jid string, fn func(fleet.Return)) error {
	w, err := s.Watch(ctx, jid)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // fails only when the connection is gone
	parts := map[fleet.PeelID]map[int]bool{}
	whole := map[fleet.PeelID]int{}
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("reading the returns of %s: %w", jid, ctx.Err())
		case <-quiet.C:
			return fmt.Errorf("reading the returns of %s: %w", jid, errSilent)
		case e, ok := <-w.Updates():
			if !ok {
				return fmt.Errorf("reading the returns of %s: the bus ended the list", jid)
			}
			if e == nil {
				return s.joinAll(ctx, jid, parts, whole, fn)
			}
			quiet.Reset(silence)
			_, id, n, ok := bus.ParseReturnKey(e.Key())
			if !ok {
				continue
			}
			p, err := job.ParsePart(e.Value(), jid, id, n)
			if err != nil {
				s.deps.Malformed.Inc()
				continue
			}
			if p.Of == 0 {
				fn(p.Return)
				continue
			}
			if parts[id] == nil {
				parts[id] = map[int]bool{}
			}
			parts[id][n], whole[id] = true, p.Of
		}
	}
}

func (s *Store) joinAll(ctx context.Context, jid string, parts map[fleet.PeelID]map[int]bool, whole map[fleet.PeelID]int, fn func(fleet.Return)) error {
	for id, have := range parts {
		if len(have) < whole[id] {
			continue
		}
		r, err := s.Join(ctx, jid, id, whole[id])
		if err != nil {
			s.deps.Log.Warn("cannot join a return", "jid", jid, "peel", id, "error", err)
			s.deps.Malformed.Inc()
			continue
		}
		fn(r)
	}
	return nil
}

// Join reads the parts of a return and puts them together.
func (s *Store) Join(ctx context.Context, jid string, id fleet.PeelID, of int) (fleet.Return, error) {
	var parts [][]byte
	for n := range of {
		e, err := s.deps.Bucket.Get(ctx, bus.ReturnKey(jid, id, n))
		if err != nil {
			return fleet.Return{}, fmt.Errorf("reading part %d of the return: %w", n, err)
		}
		p, err := job.ParsePart(e.Value(), jid, id, n)
		if err != nil {
			return fleet.Return{}, err
		}
		if p.Of != of {
			return fleet.Return{}, fmt.Errorf("part %d of the return belongs to another one", n)
		}
		parts = append(parts, p.Bytes)
	}
	return job.Join(parts, jid, id)
}

// Load returns the returns of those who were targeted, sorted by peel.
func (s *Store) Load(ctx context.Context, jid string, targets []fleet.PeelID) ([]fleet.Return, error) {
	var out []fleet.Return
	total := 0
	err := s.Each(ctx, jid, func() { out, total = nil, 0 }, func(r fleet.Return) {
		if _, ours := slices.BinarySearch(targets, r.Peel); !ours {
			return
		}
		if total += len(r.Value); total > maxLoaded {
			r.Value = nil
		}
		out = append(out, r)
	})
	slices.SortFunc(out, ByPeel)
	return out, err
}
