package tap

import (
	"context"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// cut closes a report at each interval, and earlier when a pipeline's table
// runs full, until the context ends.
func (t *Tap) cut(ctx context.Context) {
	tick := time.NewTicker(t.config().Report.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-t.due:
		case c := <-t.changes:
			ok := t.reshape(ctx, c.cfg)
			tick.Reset(c.cfg.Report.Interval)
			close(c.done)
			if !ok {
				return
			}
			continue
		}
		parts, ok := t.collect(ctx, t.stations)
		if len(parts) > 0 || len(t.stations) == 0 { // without an interface too the tap says that it lives
			t.write(parts)
		}
		if !ok {
			return
		}
	}
}

// collect asks every worker for its report, and makes one of those of an
// interface. It returns what it has when the context ends. What it returns must
// be written before the interface is asked again: its lists go back then.
func (t *Tap) collect(ctx context.Context, stations []*station) (parts []network.Report, ok bool) {
	ok, end := true, time.Now()
	replies := make([]chan network.Report, len(stations))
	asked := make([]int, len(stations))
	for i, s := range stations {
		replies[i] = make(chan network.Report, len(s.workers))
		for _, w := range s.workers {
			select {
			case w.cuts <- cutRequest{end, replies[i], w.used}:
				asked[i]++
				w.used = network.Report{}
			case <-ctx.Done():
				ok = false
			}
		}
	}
	for i := range stations {
		var of []network.Report
		for range asked[i] {
			of = append(of, <-replies[i])
		}
		for j := range of {
			stations[i].workers[j].used = of[j]
		}
		if len(of) > 0 {
			parts = append(parts, mergeWorkers(of))
		}
	}
	return parts, ok
}

// last writes what the pipelines held when they ended.
func (t *Tap) last() error {
	var parts []network.Report
	for _, s := range t.stations {
		parts = append(parts, s.ended())
	}
	t.write(parts)
	return t.writer.flush()
}

// write joins the parts and hands them to the writer.
func (t *Tap) write(parts []network.Report) {
	t.note(parts)
	r := join(parts)
	r.Health.Parsers = slices.Clone(r.Health.Parsers) // of a part, which is one pipeline's
	r.Health.AddParsers(t.retired.Parsers)
	t.mu.Lock()
	t.parsers = r.Health.Parsers
	t.mu.Unlock()
	for _, s := range t.stations {
		r.Health.RingBytes += s.ringBytes()
		for _, w := range s.workers {
			r.Health.RingUsed = max(r.Health.RingUsed, w.use.high.Swap(0))
			r.Health.RingFull += w.use.full.Load()
		}
	}
	if d := t.delivery(); d != nil {
		r.Health.ClockSkew = d.Status().Skew
	}
	t.found.Cut(r, t.watcher())
	t.writer.write(r)
}
