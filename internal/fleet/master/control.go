package master

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

// What people may want of a job that goes on.
const (
	Cancel = "cancel"
	Pause  = "pause"
	Resume = "resume"
)

// controlWait is how long Control waits for the master that collects the job.
const controlWait = 10 * time.Second

// control is a wish, in the bucket jobs under <jid>.control. The master that
// collects the job sees it there, and so does one that takes the job up.
type control struct {
	Action string    `json:"action"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`

	revision uint64
}

func controlKey(jid string) string { return jid + ".control" }

// Control cancels, pauses or resumes a job, and returns its record once that
// is done. A job that is collected by a master that just died is served when
// another one has taken it up.
func (m *Master) Control(ctx context.Context, jid, action, by string) (fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Job{}, err
	}
	if !job.ValidJID(jid) {
		return fleet.Job{}, errs.New(errs.NotFound, "%.64q is no job id; rind job list shows the latest jobs", jid)
	}
	rec, err := l.records.Read(ctx, jid)
	if err != nil {
		return fleet.Job{}, err
	}
	if r := l.board.run(jid); r != nil {
		rec.Job = r.glance() // what is written is a moment behind what is shown
	}
	if err := allowed(rec, action, time.Now()); err != nil {
		return fleet.Job{}, err
	}
	b, err := json.Marshal(control{Action: action, By: by, At: time.Now().UTC()})
	if err != nil {
		return fleet.Job{}, err
	}
	wish, err := l.jobs.Put(ctx, controlKey(jid), b)
	if err != nil {
		return fleet.Job{}, bus.Explain(bus.Jobs, err)
	}
	return l.obeyed(ctx, rec, action, wish)
}

// allowed reports why an action makes no sense in the state of a job.
func allowed(rec *record.Record, action string, now time.Time) error {
	conflict := func(format string, args ...any) error { return errs.New(errs.Conflict, format, args...) }
	switch {
	case action != Cancel && action != Pause && action != Resume:
		return errs.New(errs.Invalid, "%.32q is nothing that can be done to a job: use cancel, pause or resume", action)
	case rec.State == fleet.JobCancelled, rec.State.Ended() && action != Cancel:
		return conflict("the job is %s already", rec.State)
	case rec.State.Ended() && (rec.Summary.Missing == 0 || now.After(rec.Expires)):
		return conflict("the job is %s, and no host can get it any more", rec.State)
	case action == Resume && rec.State != fleet.JobPaused:
		return conflict("the job is %s, not paused", rec.State)
	case action == Pause && rec.State != fleet.JobRunning:
		return conflict("the job is %s, not running", rec.State)
	case action == Pause && rec.Sent == rec.Summary.Targeted:
		return conflict("every host has the job already; rind job cancel %s ends it there", rec.JID)
	}
	return nil
}

// obeyed waits until the record shows that a wish was fulfilled. A job that was
// resumed may be paused again by then: what the record says that it has obeyed
// tells it from one that still is.
func (l *live) obeyed(ctx context.Context, was *record.Record, action string, wish uint64) (fleet.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, controlWait+cancelGrace)
	defer cancel()
	for {
		rec, err := l.records.Read(ctx, was.JID)
		switch {
		case err != nil && ctx.Err() != nil:
			return was.Job, errs.New(errs.Unavailable, "the wish to %s the job is written down, but the master that collects it has not answered yet; rind job show %s tells when it has", action, was.JID)
		case err != nil:
			return fleet.Job{}, err
		case action == Cancel && rec.State == fleet.JobCancelled && !rec.Ended.IsZero(),
			action == Pause && (rec.State == fleet.JobPaused || rec.State.Ended()),
			action == Resume && rec.State != fleet.JobPaused,
			action != Cancel && rec.Obeyed >= wish:
			return rec.Job, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// watchControls hands wishes to the jobs that are collected here.
func (m *Master) watchControls(ctx context.Context, l *live) error {
	return m.watch(ctx, l, l.jobs, bus.Jobs, "*.control", func(e jetstream.KeyValueEntry) {
		jid := strings.TrimSuffix(e.Key(), ".control")
		if r := l.board.run(jid); r != nil && e.Operation() == jetstream.KeyValuePut {
			m.wish(r, e)
		}
	})
}

// wish passes a wish on to a job.
func (m *Master) wish(r *run, e jetstream.KeyValueEntry) {
	var c control
	if err := json.Unmarshal(e.Value(), &c); err != nil {
		m.log.Warn("a wish for a job cannot be read", "jid", r.rec.JID, "error", err)
		return
	}
	c.revision = e.Revision()
	r.mu.Lock()
	r.want = append(r.want, c)
	r.mu.Unlock()
	r.rouse()
}

// wished reads the last wish for a job that is taken up.
func (m *Master) wished(ctx context.Context, l *live, r *run) error {
	e, err := l.jobs.Get(ctx, controlKey(r.rec.JID))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return bus.Explain(bus.Jobs, err)
	}
	m.wish(r, e)
	return nil
}

// obey does what people want, and reports whether that changed the job. The
// caller holds the lock.
func (r *run) obey(now time.Time) (changed bool) {
	for _, c := range r.want {
		if c.revision <= r.rec.Obeyed {
			continue
		}
		r.rec.Obeyed = c.revision
		switch {
		case c.Action == Cancel && r.rec.State != fleet.JobCancelled:
			r.rec.State, r.rec.Reason = fleet.JobCancelled, "by "+c.By
			r.flights = nil
			if r.tally.open > 0 {
				r.flights = []flight{{0, r.rec.Sent, now.Add(min(cancelGrace, r.rec.Timeout))}}
			}
			changed = true
		case c.Action == Pause && r.rec.State == fleet.JobRunning:
			r.rec.State, r.rec.Reason = fleet.JobPaused, "by "+c.By
			changed = true
		case c.Action == Resume && r.rec.State == fleet.JobPaused:
			r.rec.State, r.rec.Reason = fleet.JobRunning, ""
			changed = true
		}
	}
	r.want = nil
	return changed
}

// revoke tells the hosts that have the job and have not answered that it is
// cancelled.
func (m *Master) revoke(l *live, r *run) {
	if ids := r.owing(); len(ids) > 0 {
		if err := m.sendCancel(l, r, ids); err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot tell every host that a job is cancelled", "jid", r.rec.JID, "error", err)
		}
	}
}
