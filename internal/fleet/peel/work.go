package peel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
)

// maxError is how much of an error's text is returned.
const maxError = 8 << 10

// onJob takes a message from a job subject.
func (p *Peel) onJob(r *running, data []byte) {
	body, refusal := r.verify.Verify(data)
	if refusal != nil {
		p.refuse(r, body, refusal)
		return
	}
	if body.Function == job.CancelFunction {
		p.cancel(r, body)
		return
	}
	f, err := p.functions.Find(body.Function)
	if err != nil {
		p.keep(r, body, p.failed(body, err), true)
		return
	}
	p.log.Info("job accepted", "jid", body.JID, "function", body.Function, "by", body.By)
	r.active.add(body.JID)
	begin := r.queue.add
	if f.Instant {
		begin = r.queue.now
	}
	if !begin(f.ReadOnly, func() { p.run(r, body, f) }) {
		r.active.remove(body.JID)
		r.verify.Count(job.ReasonBusy)
		p.refuse(r, body, &job.Refusal{Reason: job.ReasonBusy, Answer: true,
			Msg: fmt.Sprintf("%d jobs wait already, which is the limit", maxWaiting)})
	}
}

// refuse answers a refusal when the one who asked is to know.
func (p *Peel) refuse(r *running, body *job.Body, refusal *job.Refusal) {
	jid := ""
	if body != nil {
		jid = body.JID
	}
	if refusal.Reason == job.ReasonReplayed && r.courier.again(jid) {
		return // a master asks for what it has no return of
	}
	p.log.Warn("job refused", "reason", refusal.Reason, "jid", jid, "error", refusal.Msg)
	if !refusal.Answer || body == nil {
		return
	}
	ret := p.failed(body, refusal)
	ret.Reason = refusal.Reason
	p.keep(r, body, ret, false)
}

func (p *Peel) failed(body *job.Body, err error) fleet.Return {
	now := time.Now().UTC()
	return fleet.Return{JID: body.JID, Peel: p.id, Error: short(err.Error()), Started: now, Finished: now}
}

// run runs a job whose turn has come.
func (p *Peel) run(r *running, body *job.Body, f function.Function) {
	defer r.active.remove(body.JID)
	if r.ctx.Err() != nil {
		p.keep(r, body, p.failed(body, errStopping), true)
		return
	}
	if time.Now().After(body.Expires) {
		r.verify.Count(job.ReasonExpired)
		p.refuse(r, body, &job.Refusal{Reason: job.ReasonExpired, Answer: true, Msg: "the job waited in the queue until it expired"})
		return
	}
	if !f.ReadOnly {
		if err := r.seen.Sync(); err != nil {
			p.keep(r, body, p.failed(body, fmt.Errorf("the peel cannot note the job on its disk, so it does not run it: %w", err)), true)
			return
		}
	}
	ctx, end := context.WithCancelCause(r.ctx)
	defer end(nil)
	ctx, cancel := context.WithTimeout(ctx, body.Limit)
	defer cancel()
	started := time.Now().UTC()
	if !r.active.begin(body.JID, func() { end(errCancelled) }) {
		ret := p.failed(body, errors.New("the job was cancelled before it began here"))
		ret.Reason = job.ReasonWithdrawn
		p.keep(r, body, ret, true)
		return
	}
	res, err := f.Do(ctx, host{p}, body.Args, body.Limit)
	cancelled := r.active.cancelled(body.JID)
	ret := p.answer(body, res, ending(err, cancelled, body.Limit))
	ret.Started = started
	if cancelled && !ret.OK {
		ret.Reason = job.ReasonCancelled
	}
	p.metrics.jobs.WithLabelValues(f.Name).Inc()
	p.keep(r, body, ret, !f.ReadOnly)
}

// errCancelled is why a function was ended whose job somebody cancelled.
var errCancelled = errors.New("the job was cancelled while it ran")

// ending says in words why a function was ended that only knows that it was.
func ending(err error, cancelled bool, limit time.Duration) error {
	switch {
	case cancelled && errors.Is(err, context.Canceled):
		return errCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it was ended after %s, which is how long it may run: %w", limit.Round(time.Millisecond), err)
	}
	return err
}

// answer makes the return of what a function gave.
func (p *Peel) answer(body *job.Body, res function.Result, err error) fleet.Return {
	if err != nil {
		if fault, ok := errors.AsType[*function.Panic](err); ok {
			p.log.Error("a function panicked", "function", fault.Function, "error", fault.Value, "stack", fault.Stack)
		}
		return p.failed(body, err)
	}
	value, err := json.Marshal(res.Value)
	if err != nil {
		return p.failed(body, fmt.Errorf("encoding what %s gave: %w", body.Function, err))
	}
	ret := fleet.Return{JID: body.JID, Peel: p.id, OK: res.Failed == "", ExitCode: res.ExitCode, Value: value,
		Error: short(res.Failed), Finished: time.Now().UTC()}
	if len(value) > job.MaxReturn-maxError-1024 {
		ret.OK, ret.Value = false, nil
		ret.Error = fmt.Sprintf("the value has %d bytes, at most %d can be returned", len(value), job.MaxReturn)
	}
	return ret
}

// keep spools a return and has it delivered.
func (p *Peel) keep(r *running, body *job.Body, ret fleet.Return, sync bool) {
	b, err := job.Encode(ret)
	if err == nil {
		err = r.spool.Put(ret.JID, b, sync)
	}
	if err != nil {
		p.metrics.lost.Inc()
		p.log.Error("a return is lost", "jid", ret.JID, "error", err)
		return
	}
	if err := r.seen.Answered(ret.JID, time.Now()); err != nil {
		p.log.Error("cannot note a job as answered", "jid", ret.JID, "error", err)
	}
	r.courier.deliver(ret.JID, b, min(max(body.Patience, ackWait), lastAckWait))
}

func short(s string) string {
	if len(s) > maxError {
		return s[:maxError] + "…"
	}
	return s
}
