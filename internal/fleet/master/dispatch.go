package master

import (
	"context"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
	"github.com/rind-project/rind/internal/fleet/master/rollout"
	"github.com/rind-project/rind/internal/fleet/target"
)

// maxFunction is the longest name of a function.
const maxFunction = 128

// Run sends a job, or plans it for its start, and returns its record. The
// record is written and acknowledged before the first message is sent. A
// target that matches nobody is an error of the kind NotFound.
func (m *Master) Run(ctx context.Context, req fleet.JobRequest) (fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Job{}, err
	}
	ids, expr, err := m.aim(ctx, l, &req)
	if err != nil {
		return fleet.Job{}, err
	}
	rec := m.newRecord(req)
	rec.All = expr.All()
	j, err := m.begin(ctx, l, rec, ids)
	j.Unknown = l.unknown(expr)
	return j, err
}

// aim checks a request and finds whom it is for.
func (m *Master) aim(ctx context.Context, l *live, req *fleet.JobRequest) (ids []fleet.PeelID, expr *target.Expr, err error) {
	if err := m.check(req); err != nil {
		return nil, nil, err
	}
	if expr, err = m.expression(ctx, req.Target); err != nil {
		return nil, nil, err
	}
	ids, err = l.resolve(ctx, expr)
	return ids, expr, err
}

// maxUnknown is how many ids are named that nobody has.
const maxUnknown = 100

// unknown returns the ids that a target lists and nobody has.
func (l *live) unknown(expr *target.Expr) []fleet.PeelID {
	var out []fleet.PeelID
	for _, id := range expr.Listed() {
		if len(out) < maxUnknown && !l.roster.Enrolled(id) {
			out = append(out, id)
		}
	}
	return out
}

// check refuses a request that cannot be run, and fills in what it leaves out.
func (m *Master) check(req *fleet.JobRequest) error {
	size := 0
	for _, a := range req.Args {
		size += len(a)
	}
	switch {
	case req.Function == "":
		return errs.New(errs.Invalid, "the job names no function; rind '*' test.ping asks who is there")
	case len(req.Function) > maxFunction:
		return errs.New(errs.TooLarge, "the name of the function has %d characters, at most %d are allowed", len(req.Function), maxFunction)
	case strings.HasPrefix(req.Function, job.ControlPrefix):
		return errs.New(errs.Invalid, "functions %s* are the masters' own; rind job cancel JID cancels a job", job.ControlPrefix)
	case len(req.Args) > MaxArgs:
		return errs.New(errs.TooLarge, "the job has %d arguments, at most %d are allowed", len(req.Args), MaxArgs)
	case size > MaxArgBytes:
		return errs.New(errs.TooLarge, "the job's arguments have %d bytes, at most %d are allowed", size, MaxArgBytes)
	case req.Timeout < 0 || req.Timeout > MaxJobTimeout:
		return errs.New(errs.Invalid, "the timeout %s is not between 0 and %s", req.Timeout, MaxJobTimeout)
	}
	if req.Timeout == 0 {
		req.Timeout = m.cfg.JobTimeout
	}
	return checkTimes(req, time.Now())
}

// checkTimes refuses a start and an expiry that cannot be.
func checkTimes(req *fleet.JobRequest, now time.Time) error {
	start := now
	if !req.Start.IsZero() {
		if start = req.Start; start.Before(now.Add(-time.Minute)) {
			return errs.New(errs.Invalid, "the start %s is over (it is %s here)", req.Start.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	if req.Expires.IsZero() {
		if start.After(now.Add(MaxExpiry - rollout.LongLife)) {
			return errs.New(errs.Invalid, "the start is more than %s ahead", MaxExpiry-rollout.LongLife)
		}
		return nil
	}
	switch {
	case !req.Expires.After(start):
		return errs.New(errs.Invalid, "the job would expire at %s, before it begins", req.Expires.UTC().Format(time.RFC3339))
	case req.Expires.After(now.Add(MaxExpiry)):
		return errs.New(errs.Invalid, "a job can expire at most %s from now", MaxExpiry)
	}
	return nil
}

// resolve finds the enrolled peels that are meant, whether they are connected
// or not, sorted. Who is enrolled is asked anew, so that nobody who was
// approved before the job is left out.
func (l *live) resolve(ctx context.Context, expr *target.Expr) ([]fleet.PeelID, error) {
	if err := l.roster.Refresh(ctx); err != nil {
		return nil, err
	}
	if ids, _, err := l.roster.Targets.Query(ctx, expr, "", 0); err != nil || len(ids) > 0 {
		return ids, err
	}
	if n := l.roster.Targets.Len(); n > 0 {
		return nil, errs.New(errs.NotFound, "the target %q matches none of the %d enrolled peels; rind target test shows whom each of its terms matches", expr, n)
	}
	return nil, errs.New(errs.NotFound, "no peel is enrolled yet; rind enroll token prints the command that enrolls a host")
}

// newRecord makes the record of a checked request.
func (m *Master) newRecord(req fleet.JobRequest) record.Record {
	now := time.Now().UTC()
	rec := record.Record{Job: fleet.Job{
		JID: job.NewJID(), Target: req.Target, Function: req.Function, Args: req.Args, By: req.By, Rollout: req.Rollout,
		State: fleet.JobRunning, Created: now, Expires: req.Expires.UTC(),
	}, Master: m.name, Epoch: 1, Timeout: req.Timeout}
	if req.Start.After(now) {
		rec.State, rec.Start = fleet.JobScheduled, req.Start.UTC()
	}
	return rec
}

// begin writes a job down and sets it going. Who gets it at once counts as
// sent in the first record already.
func (m *Master) begin(ctx context.Context, l *live, rec record.Record, ids []fleet.PeelID) (fleet.Job, error) {
	p, err := rollout.New(rec.Rollout, len(ids))
	if err != nil {
		return fleet.Job{}, err
	}
	if rec.Expires.IsZero() {
		rec.Expires = begins(rec).Add(p.Life(rec.Timeout))
	}
	if len(p.Ends) > 1 {
		rec.Waves = len(p.Ends)
	}
	if err := m.signable(&rec, ids); err != nil {
		return fleet.Job{}, err
	}
	r := newRun(rec, ids, p, &l.board.held)
	mv := r.next(time.Now())
	r.rec.Summary = r.glance().Summary
	if err := l.records.Create(ctx, &r.rec, ids); err != nil {
		return fleet.Job{}, err
	}
	short := r.rec.Short()
	l.board.add(r)
	l.board.put(&short)
	m.metrics.jobs.Inc()
	m.log.Info("job begun", "jid", rec.JID, "target", rec.Target, "function", rec.Function, "by", rec.By, "targeted", len(ids), "state", rec.State)
	answer := r.job()
	l.wg.Go(func() {
		if mv.to > mv.from {
			m.send(l, r, mv.from, mv.to)
		}
		m.tend(l, r, "created")
	})
	m.changes.notify()
	return answer, nil
}

// begins is when the job is to begin.
func begins(rec record.Record) time.Time {
	if rec.Start.IsZero() {
		return rec.Created
	}
	return rec.Start
}

// Plan says what a request would do.
func (m *Master) Plan(ctx context.Context, req fleet.JobRequest) (fleet.JobPlan, error) {
	l, err := m.running()
	if err != nil {
		return fleet.JobPlan{}, err
	}
	ids, expr, err := m.aim(ctx, l, &req)
	if err != nil {
		return fleet.JobPlan{}, err
	}
	p, err := rollout.New(req.Rollout, len(ids))
	if err != nil {
		return fleet.JobPlan{}, err
	}
	rec := m.newRecord(req)
	out := fleet.JobPlan{Targeted: len(ids), Start: rec.Start, Expires: rec.Expires, Window: min(p.Window, len(ids)), Failures: p.Failures,
		Unknown: l.unknown(expr)}
	if rec.Expires.IsZero() {
		out.Expires = begins(rec).Add(p.Life(req.Timeout))
	}
	from, order := 0, p.Order(rec.JID, len(ids))
	for _, end := range p.Ends {
		w := fleet.JobWave{Hosts: end - from}
		for _, at := range order[from:min(end, from+planNamed)] {
			w.Peels = append(w.Peels, ids[at])
		}
		out.Waves, from = append(out.Waves, w), end
	}
	return out, nil
}

// planNamed is how many hosts of each wave a plan names.
const planNamed = 5

// Retry sends a job again to the hosts that failed, did not answer, or never
// got it.
func (m *Master) Retry(ctx context.Context, jid, by string) (fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Job{}, err
	}
	old, returns, err := m.Job(ctx, jid)
	if err != nil {
		return fleet.Job{}, err
	}
	if !old.State.Ended() {
		return fleet.Job{}, errs.New(errs.Conflict, "the job is %s; wait for its end, or cancel it, before it is tried again", old.State)
	}
	ids, gone, err := l.unwell(ctx, old, returns)
	if err != nil {
		return fleet.Job{}, err
	}
	if len(ids) == 0 {
		return fleet.Job{}, errs.New(errs.Conflict, "no host is left to try again: of the job's %d, %d succeeded and %d are not enrolled any more",
			old.Summary.Targeted, old.Summary.Answered-old.Summary.Failed, gone)
	}
	req := fleet.JobRequest{Target: old.Target, Function: old.Function, Args: old.Args, By: by, Rollout: old.Rollout}
	if rec, err := l.records.Read(ctx, jid); err == nil {
		req.Timeout = rec.Timeout
	}
	if err := m.check(&req); err != nil {
		return fleet.Job{}, err
	}
	rec := m.newRecord(req)
	rec.RetryOf = jid
	return m.begin(ctx, l, rec, ids)
}

// unwell returns the hosts of a job that failed or are missing and are
// enrolled, sorted, and how many of them are not.
func (l *live) unwell(ctx context.Context, old fleet.Job, returns []fleet.Return) (ids []fleet.PeelID, gone int, err error) {
	if err := l.roster.Refresh(ctx); err != nil {
		return nil, 0, err
	}
	for _, r := range returns {
		if !r.OK {
			ids = append(ids, r.Peel)
		}
	}
	ids = append(ids, old.Summary.MissingPeels...)
	enrolled := ids[:0]
	for _, id := range ids {
		if l.roster.Enrolled(id) {
			enrolled = append(enrolled, id)
		} else {
			gone++
		}
	}
	return sorted(enrolled), gone, nil
}
