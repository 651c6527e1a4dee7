package master

import (
	"context"
	"errors"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master/record"
	"github.com/rind-project/rind/internal/fleet/master/rollout"
)

// adoptGrace is how long an adopted job waits, at least, for answers that came
// while no master was there: peels ask again every two seconds.
const adoptGrace = 5 * time.Second

// takeUp continues the jobs that this master left open when it ended.
func (m *Master) takeUp(l *live) {
	for _, rec := range l.board.open(time.Now()) {
		if rec.Master == m.name {
			l.wg.Go(func() { m.adopt(l, rec) })
		}
	}
}

// adopt takes over a job that another process began. The record is claimed
// first, under the next epoch: one master alone succeeds, and whatever the one
// before wants to write from then on is refused, so that it sends nothing more.
func (m *Master) adopt(l *live, rec *record.Record) {
	mine := *rec
	mine.Master, mine.Epoch = m.name, rec.Epoch+1
	ctx, cancel := context.WithTimeout(l.ctx, 30*time.Second)
	defer cancel()
	r, err := m.claim(ctx, l, &mine)
	if err != nil {
		if !errors.Is(err, record.ErrSuperseded) && l.ctx.Err() == nil {
			m.log.Error("cannot take up a job", "jid", rec.JID, "error", err)
		}
		return
	}
	m.log.Info("job taken up", "jid", rec.JID, "from", rec.Master, "epoch", mine.Epoch, "state", mine.State)
	l.board.add(r)
	short := mine.Short()
	l.board.put(&short)
	m.backfill(l, r)
	r.recount()
	if err := m.wished(ctx, l, r); err != nil && l.ctx.Err() == nil {
		m.log.Warn("cannot read what people want of a job", "jid", rec.JID, "error", err)
	}
	if mine.Over() {
		m.late(l, r)
		l.board.drop(r)
		return
	}
	// Whoever is named as sent may not have got it: the master before wrote the
	// record first. Those who have it already do not run it again.
	if ids := r.owing(); len(ids) > 0 && mine.State != fleet.JobCancelled {
		m.deliver(l, r, ids, false)
	} else if len(ids) > 0 {
		m.revoke(l, r)
	}
	m.tend(l, r, "taken_up")
}

// claim writes the record under this master's name and makes the run of it.
func (m *Master) claim(ctx context.Context, l *live, mine *record.Record) (*run, error) {
	targets, err := l.records.Targets(ctx, mine)
	if err != nil {
		return nil, err
	}
	p, err := rollout.New(mine.Rollout, len(targets))
	if err != nil {
		return nil, err
	}
	if err := l.records.Update(ctx, mine); err != nil {
		return nil, err
	}
	r := newRun(*mine, targets, p, &l.board.held)
	r.restore(time.Now())
	return r, nil
}

// restore counts as sent what the record says. Of the waves before the last
// one the time is over; the last one gets until its deadline, and a moment.
func (r *run) restore(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := r.plan.Begin(r.plan.Wave(r.rec.Sent))
	for pos, at := range r.order[:r.rec.Sent] {
		if pos < begin || r.rec.Over() {
			r.state[at] = missed
			r.tally.missed++
			continue
		}
		r.state[at] = waiting
		r.tally.open++
	}
	if r.tally.open > 0 {
		until := now.Add(adoptGrace)
		if r.rec.Deadline.After(until) {
			until = r.rec.Deadline
		}
		r.flights = []flight{{begin, r.rec.Sent, until}}
	}
	r.done = r.rec.Over()
}

// recount finds the failures of the waves that were judged already.
func (r *run) recount() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec.Judged == 0 {
		return
	}
	for _, at := range r.order[:r.plan.Ends[r.rec.Judged-1]] {
		if r.state[at] == failed || r.state[at] == missed {
			r.before++
		}
	}
}
