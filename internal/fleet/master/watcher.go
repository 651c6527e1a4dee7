package master

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

// watchElsewhere is how often a job that another master collects is looked at.
const watchElsewhere = 500 * time.Millisecond

// Pace of showing the answers of many: those behind the first ones come
// together.
const (
	watchAhead = 256
	watchPause = 5 * time.Millisecond
)

// Watch yields the returns so far, then those that arrive, and the job itself
// when it is done; then the channel is closed. It is closed without the job
// when ctx ends or the master stops.
func (m *Master) Watch(ctx context.Context, jid string) (<-chan fleet.JobEvent, error) {
	l, err := m.running()
	if err != nil {
		return nil, err
	}
	out := make(chan fleet.JobEvent, watchAhead)
	w := &watcher{m: m, l: l, ctx: ctx, out: out, sent: map[fleet.PeelID]bool{}}
	if r := l.board.run(jid); r != nil {
		go w.here(r)
		return out, nil
	}
	if _, _, err := m.Job(ctx, jid); err != nil {
		return nil, err
	}
	go w.elsewhere(jid)
	return out, nil
}

// watcher feeds one channel of Watch.
type watcher struct {
	m    *Master
	l    *live
	ctx  context.Context
	out  chan fleet.JobEvent
	sent map[fleet.PeelID]bool
}

// here follows a job that is collected in this process.
func (w *watcher) here(r *run) {
	defer close(w.out)
	for n, seen := 0, 0; ; {
		g := r.after(n)
		before := 0
		if g.steps > seen && !g.done {
			seen, before = g.steps, g.before
			j := r.glance()
			// Who watches may go when the job is paused: nothing that came before is
			// held back.
			if !w.answers(g.answers[:before]) || !w.send(fleet.JobEvent{Step: &j}) {
				return
			}
		}
		if !w.answers(g.answers[before:]) {
			return
		}
		n += len(g.answers)
		if g.done {
			j := r.job()
			w.send(fleet.JobEvent{Done: &j})
			return
		}
		if len(g.answers) > 0 && n > watchAhead && !w.l.sleep(watchPause) {
			return
		}
		select {
		case <-g.news:
		case <-w.ctx.Done():
			return
		case <-w.l.ctx.Done():
			return
		}
	}
}

func (w *watcher) answers(all []answer) bool {
	for _, a := range all {
		if a.trimmed {
			a.ret = w.whole(a.ret)
		}
		if !w.send(fleet.JobEvent{Return: &a.ret}) {
			return false
		}
	}
	return true
}

// whole reads a return's value from the bucket; without it the return is shown
// as it is.
func (w *watcher) whole(ret fleet.Return) fleet.Return {
	stored, err := w.l.returns.Get(w.ctx, ret.JID, ret.Peel)
	if err != nil {
		return ret
	}
	return stored
}

// elsewhere follows a job that another master collects, or that is done: its
// returns as they are stored, and its record.
func (w *watcher) elsewhere(jid string) {
	defer close(w.out)
	stored, err := w.l.returns.Watch(w.ctx, jid)
	if err != nil {
		w.m.log.Warn("cannot follow the returns of a job", "jid", jid, "error", err)
		return
	}
	defer func() { _ = stored.Stop() }() // fails only when the connection is gone
	look := time.NewTicker(watchElsewhere)
	defer look.Stop()
	for last := (fleet.Job{}); ; {
		select {
		case e, open := <-stored.Updates():
			if !open || e != nil && !w.sendStored(jid, e) {
				return
			}
			continue
		case <-look.C:
		case <-w.ctx.Done():
			return
		case <-w.l.ctx.Done():
			return
		}
		rec, known := w.look(jid)
		if !known {
			continue
		}
		if rec == nil || rec.Over() {
			w.sendEnd(jid)
			return
		}
		if rec.State != last.State || rec.Wave != last.Wave {
			last = rec.Job
			if last.State == fleet.JobPaused && !w.sendReturns(jid) || !w.send(fleet.JobEvent{Step: &last}) {
				return
			}
		}
	}
}

// look is a job's record, nil when there is none any more; known is false while
// nobody can say. The board may not have heard yet of a job that has begun, and
// lets one go that was over long ago.
func (w *watcher) look(jid string) (rec *record.Record, known bool) {
	if rec = w.l.board.record(jid); rec != nil {
		return rec, true
	}
	rec, err := w.l.records.Read(w.ctx, jid)
	return rec, err == nil || errs.Is(err, errs.NotFound)
}

// sendStored shows a return that is whole. One in parts is shown at the end.
func (w *watcher) sendStored(jid string, e jetstream.KeyValueEntry) bool {
	_, id, n, ok := bus.ParseReturnKey(e.Key())
	if !ok {
		return true
	}
	p, err := job.ParsePart(e.Value(), jid, id, n)
	if err != nil || p.Of != 0 {
		return true
	}
	return w.sendOnce(p.Return)
}

func (w *watcher) sendOnce(ret fleet.Return) bool {
	if w.sent[ret.Peel] {
		return true
	}
	w.sent[ret.Peel] = true
	return w.send(fleet.JobEvent{Return: &ret})
}

// sendReturns shows the returns that were not.
func (w *watcher) sendReturns(jid string) bool {
	_, all, err := w.m.Job(w.ctx, jid)
	if err != nil {
		return true // they come as they are stored
	}
	for _, ret := range all {
		if !w.sendOnce(ret) {
			return false
		}
	}
	return true
}

// sendEnd shows the returns that were not, and the job.
func (w *watcher) sendEnd(jid string) {
	j, all, err := w.m.Job(w.ctx, jid)
	for ; err != nil; j, all, err = w.m.Job(w.ctx, jid) {
		if errs.Is(err, errs.NotFound) || w.ctx.Err() != nil || !w.l.sleep(watchElsewhere) {
			return
		}
	}
	for _, ret := range all {
		if !w.sendOnce(ret) {
			return
		}
	}
	w.send(fleet.JobEvent{Done: &j})
}

func (w *watcher) send(e fleet.JobEvent) bool {
	select {
	case w.out <- e:
		return true
	case <-w.ctx.Done():
	case <-w.l.ctx.Done():
	}
	return false
}
