package tap

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// cut closes a report at each interval, and earlier when a pipeline's table
// runs full, until the context ends.
func (t *Tap) cut(ctx context.Context) {
	tick := time.NewTicker(t.cfg.Report.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-t.due:
		}
		parts, ok := t.collect(ctx, time.Now())
		if len(parts) > 0 || len(t.stations) == 0 { // without an interface too the tap says that it lives
			t.write(parts)
		}
		if !ok {
			return
		}
	}
}

// collect asks every worker for its report, and makes one of those of an
// interface. It returns what it has when the context ends.
func (t *Tap) collect(ctx context.Context, end time.Time) (parts []network.Report, ok bool) {
	ok = true
	replies := make([]chan network.Report, len(t.stations))
	asked := make([]int, len(t.stations))
	for i, s := range t.stations {
		replies[i] = make(chan network.Report, len(s.workers))
		for _, w := range s.workers {
			select {
			case w.cuts <- cutRequest{end, replies[i]}:
				asked[i]++
			case <-ctx.Done():
				ok = false
			}
		}
	}
	for i := range t.stations {
		var of []network.Report
		for range asked[i] {
			of = append(of, <-replies[i])
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
		var of []network.Report
		for _, w := range s.workers {
			of = append(of, <-w.last)
		}
		parts = append(parts, mergeWorkers(of))
	}
	t.write(parts)
	return t.writer.flush()
}

// write joins the parts and hands them to the writer.
func (t *Tap) write(parts []network.Report) {
	r := join(parts)
	for _, s := range t.stations {
		r.Health.RingBytes += s.ringBytes()
	}
	t.writer.write(r)
}
