package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
)

// maxLoaded bounds the bytes of values that Job returns. Returns beyond it
// come without their value.
const maxLoaded = 128 << 20

// errSilent says that a list stopped in the middle: the server that made it is
// gone, and the client notices that only much later by itself.
var errSilent = errors.New("the bus stopped in the middle of the list")

// silence is how long a list may say nothing.
const silence = 3 * time.Second

// eachReturnAnew is eachReturn that begins again when the list stops in the
// middle. Before each try it calls begin.
func (m *Master) eachReturnAnew(ctx context.Context, l *live, jid string, begin func(), fn func(fleet.Return)) error {
	for {
		begin()
		if err := m.eachReturn(ctx, l, jid, fn); !errors.Is(err, errSilent) || ctx.Err() != nil {
			return err
		}
	}
}

// eachReturn calls fn for every complete return to a job in the bucket. Parts
// are joined when all of them are there.
func (m *Master) eachReturn(ctx context.Context, l *live, jid string, fn func(fleet.Return)) error {
	w, err := l.returns.Watch(ctx, jid+".*.*", jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("reading the returns of %s: %w", jid, bus.Explain(bus.JobReturns, err))
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
				return m.joinAll(ctx, l, jid, parts, whole, fn)
			}
			quiet.Reset(silence)
			_, id, n, ok := bus.ParseReturnKey(e.Key())
			if !ok {
				continue
			}
			p, err := job.ParsePart(e.Value(), jid, id, n)
			if err != nil {
				m.metrics.stray.WithLabelValues("malformed").Inc()
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

func (m *Master) joinAll(ctx context.Context, l *live, jid string, parts map[fleet.PeelID]map[int]bool, whole map[fleet.PeelID]int, fn func(fleet.Return)) error {
	for id, have := range parts {
		if len(have) < whole[id] {
			continue
		}
		r, err := l.join(ctx, jid, id, whole[id])
		if err != nil {
			m.log.Warn("cannot join a return", "jid", jid, "peel", id, "error", err)
			m.metrics.stray.WithLabelValues("malformed").Inc()
			continue
		}
		fn(r)
	}
	return nil
}

// join reads the parts of a return and puts them together.
func (l *live) join(ctx context.Context, jid string, id fleet.PeelID, of int) (fleet.Return, error) {
	var parts [][]byte
	for n := range of {
		e, err := l.returns.Get(ctx, bus.ReturnKey(jid, id, n))
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

// load returns the returns of those who were targeted, sorted by peel.
func (m *Master) load(ctx context.Context, l *live, jid string, targets []fleet.PeelID) ([]fleet.Return, error) {
	var out []fleet.Return
	total := 0
	err := m.eachReturnAnew(ctx, l, jid, func() { out, total = nil, 0 }, func(r fleet.Return) {
		if _, ours := slices.BinarySearch(targets, r.Peel); !ours {
			return
		}
		if total += len(r.Value); total > maxLoaded {
			r.Value = nil
		}
		out = append(out, r)
	})
	slices.SortFunc(out, byPeel)
	return out, err
}

// summarise counts returns against the sorted targets.
func summarise(targets []fleet.PeelID, returns []fleet.Return) fleet.Summary {
	s := fleet.Summary{Targeted: len(targets)}
	answered := make(map[fleet.PeelID]bool, len(returns))
	for _, r := range returns {
		if answered[r.Peel] {
			continue
		}
		answered[r.Peel] = true
		s.Answered++
		if !r.OK {
			s.Failed++
		}
	}
	for _, id := range targets {
		if !answered[id] {
			s.MissingPeels = append(s.MissingPeels, id)
		}
	}
	s.Missing = len(s.MissingPeels)
	return s
}
