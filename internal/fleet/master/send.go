package master

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

// sendAgain is the pause before messages that could not be published are tried
// again.
const sendAgain = time.Second

func sorted(ids []fleet.PeelID) []fleet.PeelID {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// How long peels wait for the acknowledgement of a return: longer than they do
// by themselves when so many are asked that counting them takes a while.
const (
	ackWait     = 5 * time.Second
	ackPerPeel  = time.Second / 10_000
	mostAckWait = 15 * time.Second
)

// patienceOf is how long peels that are among so many wait for the
// acknowledgement of a return; 0 leaves it to them.
func patienceOf(peels int) time.Duration {
	if d := min(ackWait+time.Duration(peels)*ackPerPeel, mostAckWait); d >= ackWait+time.Second {
		return d
	}
	return 0
}

// body is what the job says, as of now. Each message that goes out is signed
// with the time at which it does, so that a peel can compare its clock; a peel
// runs a job once, whatever the number of messages.
func body(r *record.Record, now time.Time, peels int) job.Body {
	return job.Body{JID: r.JID, Function: r.Function, Args: r.Args, By: r.By, Signed: now.UTC(), Expires: r.Expires,
		Limit: max(r.Timeout, job.MaxSkew), Patience: patienceOf(peels)}
}

// signable reports why a job cannot be sent, before it is written down.
func (m *Master) signable(rec *record.Record, ids []fleet.PeelID) error {
	now := time.Now()
	if !now.Before(rec.Expires) {
		return errs.New(errs.Invalid, "the job expires before it begins")
	}
	if _, err := m.deps.Signer.Sign(body(rec, now, len(ids)), ids[:1]); err != nil {
		return errs.New(errs.Invalid, "%w", err)
	}
	return nil
}

// send brings the job to the hosts at the positions from and below to.
func (m *Master) send(l *live, r *run, from, to int) {
	r.mu.Lock()
	ids := make([]fleet.PeelID, 0, to-from)
	for _, at := range r.order[from:to] {
		if r.state[at] == waiting {
			ids = append(ids, r.targets[at])
		}
	}
	r.mu.Unlock()
	m.deliver(l, r, ids, r.rec.All && len(ids) == len(r.targets))
}

// deliver publishes a job to hosts, and tries again while they may get it.
func (m *Master) deliver(l *live, r *run, ids []fleet.PeelID, all bool) {
	for len(ids) > 0 {
		err := m.publish(l, r, ids, all)
		if err == nil {
			return
		}
		m.log.Warn("cannot send a job to every host yet", "jid", r.rec.JID, "error", err)
		if !l.sleep(sendAgain) || !r.goesOn() {
			return
		}
		ids, all = r.owing(), false
	}
}

// goesOn reports whether the job is still to be sent.
func (r *run) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rec.State != fleet.JobCancelled && time.Now().Before(r.rec.Expires)
}

// publish signs a job for hosts and returns when the bus has their messages.
// What is for all goes out as one.
func (m *Master) publish(l *live, r *run, ids []fleet.PeelID, all bool) error {
	addressed := ids
	if all {
		addressed = nil
	}
	batch, err := m.deps.Signer.Sign(body(&r.rec, time.Now(), len(r.targets)), addressed)
	if err != nil {
		return err
	}
	return l.post(batch, ids)
}

// post publishes a signed job.
func (l *live) post(batch *job.Batch, ids []fleet.PeelID) error {
	if batch.All() {
		if err := l.nc.Publish(bus.JobAll, batch.Message(0)); err != nil {
			return fmt.Errorf("publishing to all: %w", err)
		}
		return l.nc.FlushTimeout(10 * time.Second)
	}
	for n, id := range ids {
		if err := l.nc.Publish(bus.JobSubject(id), batch.Message(n)); err != nil {
			return fmt.Errorf("publishing to %s: %w", id, err)
		}
	}
	return l.nc.FlushTimeout(30 * time.Second)
}

// sendCancel tells hosts to end a job.
func (m *Master) sendCancel(l *live, r *run, ids []fleet.PeelID) error {
	r.mu.Lock()
	by := strings.TrimPrefix(r.rec.Reason, "by ")
	r.mu.Unlock()
	now := time.Now().UTC()
	batch, err := m.deps.Signer.Sign(job.Body{JID: job.NewJID(), Function: job.CancelFunction, Args: []string{r.rec.JID}, By: by,
		Signed: now, Expires: now.Add(job.MaxSkew), Limit: job.MaxSkew}, ids)
	if err != nil {
		return err
	}
	return l.post(batch, ids)
}

// listenForReturning answers peels that have connected and ask what
// they missed. Every master hears it, and sends what it collects.
func (m *Master) listenForReturning(l *live) error {
	return l.subscribe(l.nc, bus.AllCatchUps, mostWaiting, l.guard.Metered(false, func(msg *nats.Msg) {
		id, _, ok := bus.ParseAsk(msg.Subject)
		if !ok || !ownReply(msg, id) {
			m.metrics.stray.WithLabelValues("malformed").Inc()
			return
		}
		var c bus.CatchUp
		if len(msg.Data) > maxCatchUp || json.Unmarshal(msg.Data, &c) != nil {
			bus.Refuse(msg, "the list of jobs cannot be read")
			return
		}
		if !l.returning.Allow(id, time.Now()) {
			bus.Retry(msg, "this peel asks too often")
			return
		}
		m.catchUp(l, id, c.Have)
		bus.Accept(msg)
	}))
}

// maxCatchUp bounds the list of jobs that a peel has.
const maxCatchUp = 64 << 10

// catchUp sends a peel the jobs that it owes an answer to and does not have,
// and tells it of those that were cancelled meanwhile.
func (m *Master) catchUp(l *live, id fleet.PeelID, have []string) {
	for _, r := range l.board.collected() {
		if !r.owes(id) {
			continue
		}
		err := error(nil)
		switch has := slices.Contains(have, r.rec.JID); {
		case !r.goesOn() && has:
			err = m.sendCancel(l, r, []fleet.PeelID{id})
		case r.goesOn() && !has:
			m.metrics.late.Inc()
			err = m.publish(l, r, []fleet.PeelID{id}, false)
		}
		if err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot send a job to a peel that came back", "jid", r.rec.JID, "peel", id, "error", err)
		}
	}
}
