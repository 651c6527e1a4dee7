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

// collect asks every station for its report. It returns what it has when the
// context ends.
func (t *Tap) collect(ctx context.Context, end time.Time) (parts []network.Report, ok bool) {
	replies := make(chan network.Report, len(t.stations))
	asked := 0
	ok = true
	for _, s := range t.stations {
		select {
		case s.cuts <- cutRequest{end, replies}:
			asked++
		case <-ctx.Done():
			ok = false
		}
	}
	for range asked {
		parts = append(parts, <-replies)
	}
	return parts, ok
}

// last writes what the pipelines held when they ended.
func (t *Tap) last() error {
	var parts []network.Report
	for _, s := range t.stations {
		parts = append(parts, <-s.last)
	}
	t.write(parts)
	return t.writer.flush()
}

// write joins the parts and hands them to the writer.
func (t *Tap) write(parts []network.Report) {
	r := merge(parts)
	for _, s := range t.stations {
		r.Health.RingBytes += s.ringBytes()
	}
	t.writer.write(r)
}

// merge joins the reports of several pipelines over the same time. A report of
// no pipeline at all is empty and still says that the tap lives.
func merge(parts []network.Report) *network.Report {
	r := &network.Report{}
	if len(parts) == 1 {
		return &parts[0]
	}
	for i := range parts {
		p := &parts[i]
		if r.Start.IsZero() || p.Start.Before(r.Start) {
			r.Start = p.Start
		}
		if p.End.After(r.End) {
			r.End = p.End
		}
		r.Seed = p.Seed
		r.Health.FlowsActive += p.Health.FlowsActive
		r.Health.FlowsMax += p.Health.FlowsMax
		r.Interfaces = append(r.Interfaces, p.Interfaces...)
		r.Flows = append(r.Flows, p.Flows...)
		r.DNS = append(r.DNS, p.DNS...)
		r.TLS = append(r.TLS, p.TLS...)
	}
	return r
}
