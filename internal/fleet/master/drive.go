package master

import (
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// cancelGrace is how long a cancelled job waits for hosts to say what became
// of it there.
const cancelGrace = 10 * time.Second

// move is what the driver of a job does next: send it to the positions from
// and below to, end it, or wait. When it is changed, its record is written.
type move struct {
	from, to int
	end      fleet.JobState
	changed  bool
	cancel   bool      // tell those who have it
	wait     time.Time // zero: until something happens
}

// next decides what is done next. What it decides to send counts as sent from
// now on: the record says so before the first message goes out, so that a
// master that takes the job up knows whom it may have reached.
func (r *run) next(now time.Time) move {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	before := r.rec.State
	changed := r.obey(now)
	mv := r.decide(now)
	mv.changed = mv.changed || changed
	mv.cancel = before != fleet.JobCancelled && r.rec.State == fleet.JobCancelled
	if mv.changed {
		r.step()
	}
	return mv
}

// expire gives up on those whose time is over.
func (r *run) expire(now time.Time) {
	for len(r.flights) > 0 && !now.Before(r.flights[0].until) {
		for _, at := range r.order[r.flights[0].from:r.flights[0].to] {
			if r.state[at] == waiting {
				r.state[at] = missed
				r.tally.missed++
				r.tally.open--
			}
		}
		r.flights = r.flights[1:]
	}
}

// decide is next behind the time-outs and the people's wishes.
func (r *run) decide(now time.Time) move {
	n := len(r.targets)
	if r.rec.State == fleet.JobCancelled {
		if r.tally.open == 0 || len(r.flights) == 0 {
			return r.ending()
		}
		return move{wait: r.deadline()}
	}
	if r.halt == "" && r.rec.Sent < n {
		if f := r.tally.failures(); r.plan.Failures >= 0 && f > r.plan.Failures {
			r.halt = fmt.Sprintf("%d hosts failed or did not answer, more than max_failures allows (%d)", f, r.plan.Failures)
		} else if !now.Before(r.rec.Expires) {
			r.halt = "it expired before every host had it"
		}
	}
	switch {
	case r.halt != "" && r.tally.open == 0:
		return r.ending()
	case r.halt != "":
		return move{wait: r.deadline()}
	case r.rec.State == fleet.JobPaused:
		return move{wait: earlier(r.deadline(), r.rec.Expires)}
	case r.rec.State == fleet.JobScheduled:
		if now.Before(r.rec.Start) {
			return move{wait: r.rec.Start}
		}
		r.rec.State = fleet.JobRunning
		mv := r.decide(now)
		mv.changed = true
		return mv
	case r.rec.Sent == n && r.tally.open == 0:
		return r.ending()
	case r.rec.Sent == n:
		return move{wait: r.deadline()}
	}
	return r.advance(now)
}

func (r *run) ending() move {
	switch {
	case r.rec.State == fleet.JobCancelled:
		return move{end: fleet.JobCancelled}
	case r.halt != "":
		r.rec.Reason = r.halt
		return move{end: fleet.JobStopped}
	}
	return move{end: fleet.JobDone}
}

// advance sends what the wave and the window allow.
func (r *run) advance(now time.Time) move {
	wave := r.plan.Wave(r.rec.Sent + 1)
	if wave > 1 && r.rec.Sent == r.plan.Begin(wave) {
		if r.tally.open > 0 {
			return move{wait: r.deadline()}
		}
		if r.settled.IsZero() {
			r.settled = now
		}
		if r.rec.Judged < wave-1 {
			r.rec.Judged = wave - 1
			if why := r.judge(wave - 1); why != "" {
				r.rec.State, r.rec.Reason = fleet.JobPaused, why
				return move{changed: true, wait: r.rec.Expires}
			}
		}
		if goOn := r.settled.Add(r.plan.Gap(wave)); now.Before(goOn) {
			return move{wait: goOn}
		}
	}
	to := min(r.plan.Ends[wave-1], r.rec.Sent+r.plan.Window-r.tally.open)
	if to <= r.rec.Sent {
		return move{wait: r.deadline()}
	}
	return r.claim(to, wave, now)
}

// judge looks at the health of a wave that has ended.
func (r *run) judge(wave int) string {
	failures := r.tally.failures() - r.before
	r.before = r.tally.failures()
	return r.plan.Verdict(wave, failures)
}

// claim takes the positions up to to as sent.
func (r *run) claim(to, wave int, now time.Time) move {
	mv := move{from: r.rec.Sent, to: to, changed: true}
	for _, at := range r.order[mv.from:to] {
		if r.state[at] == unsent {
			r.state[at] = waiting
			r.tally.open++
		}
	}
	f := flight{mv.from, to, now.Add(r.rec.Timeout)}
	r.flights = append(r.flights, f)
	r.rec.Sent, r.rec.Deadline, r.settled = to, f.until, time.Time{}
	if len(r.plan.Ends) > 1 {
		r.rec.Wave = wave
	}
	return mv
}

func (r *run) deadline() time.Time {
	if len(r.flights) == 0 {
		return time.Time{}
	}
	return r.flights[0].until
}

// earlier is the earlier of two times, of which a may be missing.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// drive sends a job wave by wave and collects its answers until it has ended.
// It reports false when the job is not this master's any more, or the master
// is stopped.
func (m *Master) drive(l *live, r *run) bool {
	tick := time.NewTicker(backfillEvery)
	defer tick.Stop()
	for {
		if r.due(time.Now()) {
			m.backfill(l, r) // nobody is given up whose answer is stored
		}
		mv := r.next(time.Now())
		if mv.changed && !m.write(l, r) {
			return false
		}
		if mv.changed {
			m.changes.notify()
		}
		if mv.cancel {
			m.revoke(l, r)
		}
		switch {
		case mv.end != "":
			return l.ctx.Err() == nil && m.finish(l, r, mv.end)
		case mv.to > mv.from:
			m.send(l, r, mv.from, mv.to)
		default:
			if !m.await(l, r, mv.wait, tick) {
				return false
			}
		}
	}
}

// await returns when the driver has to look again.
func (m *Master) await(l *live, r *run, until time.Time, tick *time.Ticker) bool {
	var timer <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timer = t.C
	}
	answered := -1
	for {
		select {
		case <-r.wake:
			return true
		case <-timer:
			return true
		case <-tick.C:
			if r.stalled(&answered) {
				m.backfill(l, r)
			}
		case <-l.ctx.Done():
			return false
		}
	}
}

// due reports whether somebody is about to be given up.
func (r *run) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.open > 0 && len(r.flights) > 0 && !now.Before(r.flights[0].until)
}

// stalled reports whether answers are waited for and none came since it was
// asked last.
func (r *run) stalled(last *int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := r.tally.answered == *last
	*last = r.tally.answered
	return same && r.tally.open > 0
}
