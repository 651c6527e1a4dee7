package master

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

// Pace of collecting.
const (
	backfillEvery = 5 * time.Second
	backfillLimit = 30 * time.Second
	lateEvery     = 2 * time.Second  // between looks at what came late
	lateGrace     = 30 * time.Second // behind the job's expiry
)

// counted gives part n of a return to the job that it belongs to, when this
// master collects it, and else to whoever does.
func (m *Master) counted(l *live, p job.Part, n int, msg *nats.Msg) {
	if r := l.board.run(p.JID); r != nil {
		m.countPart(l, r, p, n)
		return
	}
	if !l.board.knows(p.JID) {
		m.metrics.stray.WithLabelValues("unknown_job").Inc()
		return
	}
	if err := l.nc.Publish(bus.ForwardSubject(p.JID, p.Peel, n), msg.Data); err != nil {
		m.log.Debug("a return could not be passed on; its master reads it from the bucket", "jid", p.JID, "peel", p.Peel, "error", err)
	}
}

// onForwarded takes a return that another master has taken and checked.
func (m *Master) onForwarded(l *live, msg *nats.Msg) {
	jid, id, n, valid := bus.ParseForwarded(msg.Subject)
	if !valid {
		m.metrics.stray.WithLabelValues("malformed").Inc()
		return
	}
	r := l.board.run(jid)
	if r == nil {
		return // not ours, or over
	}
	p, err := job.ParsePart(msg.Data, jid, id, n)
	if err != nil {
		m.metrics.stray.WithLabelValues("malformed").Inc()
		return
	}
	m.countPart(l, r, p, n)
}

func (m *Master) countPart(l *live, r *run, p job.Part, n int) {
	if p.Of == 0 {
		m.count(r, p.Return)
		return
	}
	complete, stray := r.part(p, n)
	if stray != "" {
		m.metrics.stray.WithLabelValues(stray).Inc()
	}
	if complete {
		l.wg.Go(func() { m.joinLive(l, r, p.Peel, p.Of) })
	}
}

// joinLive joins a return whose parts have all been seen. The bucket may be a
// moment behind; what does not succeed here is left to the backfill.
func (m *Master) joinLive(l *live, r *run, id fleet.PeelID, of int) {
	for try := range 5 {
		ret, err := l.returns.Join(l.ctx, r.rec.JID, id, of)
		if err == nil {
			m.count(r, ret)
			return
		}
		if !l.sleep(time.Duration(try+1) * 50 * time.Millisecond) {
			return
		}
	}
}

// count gives a return to its job.
func (m *Master) count(r *run, ret fleet.Return) {
	if stray := r.take(ret); stray != "" {
		m.metrics.stray.WithLabelValues(stray).Inc()
		return
	}
	result := "ok"
	if !ret.OK {
		result = "failed"
	}
	m.metrics.returns.WithLabelValues(result).Inc()
	m.changes.notify()
}

// backfill reads from the bucket what was not seen when it came.
func (m *Master) backfill(l *live, r *run) {
	ctx, cancel := context.WithTimeout(l.ctx, backfillLimit)
	defer cancel()
	err := l.returns.Each(ctx, r.rec.JID, func() {}, func(ret fleet.Return) {
		if r.take(ret) == "" {
			m.metrics.backfilled.Inc()
			m.changes.notify()
		}
	})
	if err != nil && l.ctx.Err() == nil {
		m.log.Warn("cannot read returns from their bucket; trying again", "jid", r.rec.JID, "error", err)
	}
}

// tend sends a job and collects its answers until it has ended, writes the
// result, and then takes late answers until none can come.
func (m *Master) tend(l *live, r *run, began string) {
	m.metrics.running.Inc()
	m.journal(l, began, r.glance())
	if m.drive(l, r) {
		m.late(l, r)
	} else {
		m.metrics.running.Dec()
	}
	l.board.drop(r)
}

// finish closes the job and writes its record.
func (m *Master) finish(l *live, r *run, end fleet.JobState) bool {
	r.mu.Lock()
	r.rec.State, r.rec.Ended = end, time.Now().UTC()
	r.rec.Summary = r.jobLocked().Summary
	if end == fleet.JobCancelled {
		r.rec.Reason += ": " + r.tally.words(r.unsentLocked(), len(r.targets))
	}
	r.dirty = false
	r.mu.Unlock()
	if !m.write(l, r) {
		return false
	}
	m.metrics.running.Dec()
	r.mu.Lock()
	r.done = true
	r.tell()
	j := r.rec.Job
	r.mu.Unlock()
	m.journal(l, string(end), j)
	m.changes.notify()
	return true
}

// write writes the record until that is acknowledged. It reports false when
// the job is not this master's any more, or the master is stopped.
func (m *Master) write(l *live, r *run) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		r.mu.Lock()
		rec := r.rec
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
		err := l.records.Update(ctx, &rec)
		cancel()
		switch {
		case err == nil:
			r.mu.Lock()
			r.rec.Revision = rec.Revision
			r.mu.Unlock()
			short := rec.Short()
			l.board.put(&short)
			return true
		case errors.Is(err, record.ErrSuperseded):
			if written, err := l.records.Read(l.ctx, rec.JID); err == nil && written.Master == m.name && written.Epoch == rec.Epoch {
				r.mu.Lock()
				r.rec.Revision = written.Revision
				r.mu.Unlock()
				continue
			}
			m.metrics.superseded.Inc()
			m.log.Info("another master has taken the job over", "jid", rec.JID, "epoch", rec.Epoch)
			return false
		}
		if l.ctx.Err() == nil {
			m.log.Warn("cannot write a job's record yet", "jid", rec.JID, "error", err)
		}
		if !l.sleep(wait/2 + rand.N(wait)) {
			return false
		}
	}
}

// late takes answers that come after the job was closed, and keeps those that
// were seen until their bucket has them: it stores them after they are passed
// on, and syncs each to the disk. Until the job expires, a host that comes back
// gets it still, unless somebody cancels it.
func (m *Master) late(l *live, r *run) {
	r.mu.Lock()
	end := r.rec.Expires.Add(lateGrace)
	r.mu.Unlock()
	if soon := time.Now().Add(lateGrace); end.Before(soon) {
		end = soon
	}
	for stored := false; time.Now().Before(end); {
		if !m.lateWait(l, r) {
			return
		}
		r.mu.Lock()
		cancelled := r.obey(time.Now())
		if cancelled {
			r.rec.Ended = time.Now().UTC()
		}
		dirty, answered, open := r.dirty || cancelled, r.tally.answered, r.rec.Sent
		r.dirty = false
		if dirty {
			r.rec.Summary = r.jobLocked().Summary
		}
		r.mu.Unlock()
		if dirty && !m.write(l, r) {
			return
		}
		if cancelled {
			m.revoke(l, r)
		}
		stored = !dirty && (stored || m.stored(l, r) >= answered)
		if stored && answered >= open {
			return
		}
	}
}

// lateWait waits a moment, less when somebody wants something of the job.
func (m *Master) lateWait(l *live, r *run) bool {
	t := time.NewTimer(lateEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-r.wake:
			r.mu.Lock()
			wanted := len(r.want) > 0
			r.mu.Unlock()
			if wanted {
				return true
			}
		case <-l.ctx.Done():
			return false
		}
	}
}

// stored returns how many returns to a job its bucket has.
func (m *Master) stored(l *live, r *run) int {
	ctx, cancel := context.WithTimeout(l.ctx, backfillLimit)
	defer cancel()
	n, err := l.returns.Count(ctx, r.rec.JID)
	if err != nil {
		return 0 // it is asked again
	}
	return n
}

// journal puts an event into the stream job-events. Losing one is not worth
// failing a job for.
func (m *Master) journal(l *live, what string, j fleet.Job) {
	j.Summary.MissingPeels, j.Args = nil, nil
	b, err := json.Marshal(struct {
		Event  string    `json:"event"`
		At     time.Time `json:"at"`
		Master string    `json:"master"`
		Job    fleet.Job `json:"job"`
	}{what, time.Now().UTC(), m.name, j})
	if err == nil {
		ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
		defer cancel()
		_, err = l.js.Publish(ctx, bus.JobEventSubject(j.JID), b)
	}
	if err != nil && l.ctx.Err() == nil {
		m.log.Warn("cannot record an event of a job", "jid", j.JID, "event", what, "error", err)
	}
}
