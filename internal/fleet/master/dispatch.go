package master

import (
	"context"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/target"
)

// maxFunction is the longest name of a function.
const maxFunction = 128

// Run sends a job and returns its record as soon as it is on its way. The
// record is written and acknowledged before the first message is sent. A
// target that matches nobody is an error of the kind NotFound.
func (m *Master) Run(ctx context.Context, req fleet.JobRequest) (fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Job{}, err
	}
	if err := m.check(&req); err != nil {
		return fleet.Job{}, err
	}
	expr, err := target.Parse(req.Target)
	if err != nil {
		return fleet.Job{}, err
	}
	ids, err := l.resolve(ctx, expr)
	if err != nil {
		return fleet.Job{}, err
	}
	r, batch, err := m.prepare(req, expr, ids, l)
	if err != nil {
		return fleet.Job{}, err
	}
	if err := l.create(ctx, &r.rec, ids); err != nil {
		return fleet.Job{}, err
	}
	rec := r.rec.short()
	l.board.add(r)
	l.board.put(&rec)
	m.metrics.jobs.Inc()
	m.log.Info("job sent", "jid", rec.JID, "target", req.Target, "function", req.Function, "by", req.By, "targeted", len(ids))
	sent := l.publish(r, batch)
	l.wg.Go(func() { m.tend(l, r, "created") })
	if sent != nil {
		return r.job(), errs.New(errs.Unavailable, "the job %s is recorded, but it could not be sent to everybody: %w", rec.JID, sent)
	}
	m.changes.notify()
	return r.job(), nil
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
	return nil
}

// resolve finds the enrolled peels that are meant, whether they are connected
// or not, sorted. Who is enrolled is asked anew, so that nobody who was
// approved before the job is left out.
func (l *live) resolve(ctx context.Context, expr *target.Expr) ([]fleet.PeelID, error) {
	if err := l.roster.refresh(ctx); err != nil {
		return nil, err
	}
	if ids, _, err := l.roster.targets.Query(ctx, expr, "", 0); err != nil || len(ids) > 0 {
		return ids, err
	}
	if n := l.roster.targets.Len(); n > 0 {
		return nil, errs.New(errs.NotFound, "the target %q matches none of the %d enrolled peels; rind target test shows whom each of its terms matches", expr, n)
	}
	return nil, errs.New(errs.NotFound, "no peel is enrolled yet; rind enroll token prints the command that enrolls a host")
}

// prepare makes and signs a job. It may be started, and may run, for at least
// as long as clocks may be apart: a peel whose clock is ahead would take a
// shorter life for over.
func (m *Master) prepare(req fleet.JobRequest, expr *target.Expr, ids []fleet.PeelID, l *live) (*run, *job.Batch, error) {
	now := time.Now().UTC()
	rec := record{Job: fleet.Job{
		JID: job.NewJID(), Target: req.Target, Function: req.Function, Args: req.Args, By: req.By,
		State: fleet.JobRunning, Created: now, Expires: now.Add(max(req.Timeout, job.MaxSkew)),
		Summary: fleet.Summary{Targeted: len(ids), Missing: len(ids)},
	}, Master: m.name, Deadline: now.Add(req.Timeout)}
	addressed := ids
	if expr.All() {
		addressed = nil
	}
	batch, err := m.deps.Signer.Sign(job.Body{
		JID: rec.JID, Function: rec.Function, Args: rec.Args, By: rec.By, Signed: rec.Created, Expires: rec.Expires,
	}, addressed)
	if err != nil {
		return nil, nil, errs.New(errs.Invalid, "%w", err)
	}
	return newRun(rec, ids, &l.board.held), batch, nil
}

// publish sends the job's messages and returns when the server has them.
func (l *live) publish(r *run, batch *job.Batch) error {
	if batch.All() {
		if err := l.nc.Publish(bus.JobAll, batch.Message(0)); err != nil {
			return fmt.Errorf("publishing to all: %w", err)
		}
		return l.nc.FlushTimeout(10 * time.Second)
	}
	for n, id := range r.targets {
		if err := l.nc.Publish(bus.JobSubject(id), batch.Message(n)); err != nil {
			return fmt.Errorf("publishing to %s: %w", id, err)
		}
	}
	return l.nc.FlushTimeout(30 * time.Second)
}
