package master

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/batch"
)

// Bounds of what is on its way into the buckets.
const (
	maxStoring  = 2048      // values that wait to be written into a bucket
	maxReturns  = 1 << 17   // returns that wait: they are counted already, and the counting of others does not wait for the disk
	intakeQueue = "masters" // each message is taken by one master
	maxFacts    = 200 << 10
	holdMost    = ackWait / 2     // how long a value waits for others: half of what a job lets peels wait, at most
	storeWait   = 5 * time.Second // for the bus
)

// intake writes what peels say into buckets, and answers when it is stored.
//
// No stream listens to a subject that peels publish to: a stream sends its
// acknowledgement to whatever reply the publisher names, and the broker does
// not ask whether the publisher may write there. So a peel could overwrite any
// key of any bucket. Here the answer goes to the peel's own inbox or nowhere.
type intake struct {
	m       *Master
	l       *live
	returns *batch.Writer
	facts   *batch.Writer
	subs    []*nats.Subscription
	aimed   aimed
}

func (m *Master) takeIn(l *live) error {
	js, err := jetstream.New(l.nc, jetstream.WithPublishAsyncMaxPending(maxStoring))
	if err != nil {
		return err
	}
	in := &intake{m: m, l: l, aimed: aimed{l: l, lists: map[string][]fleet.PeelID{}}}
	deps := batch.Deps{NC: l.nc, JS: js, Room: l.room, Batches: m.metrics.batches, Split: m.metrics.split, Unstored: m.metrics.unstored}
	in.returns = batch.New(batch.Config{Bucket: bus.JobReturns, Queue: maxReturns, Hold: holdMost}, deps)
	in.facts = batch.New(batch.Config{Bucket: bus.Facts, Queue: maxStoring, Hold: holdMost}, deps)
	l.wg.Go(in.returns.Run)
	l.wg.Go(in.facts.Run)
	l.intake = in
	before := len(l.subs)
	if err := l.subscribeQueue(bus.AllReturns, anyNumber, l.guard.Metered(true, in.onReturn)); err != nil {
		return err
	}
	err = l.subscribeQueue(bus.AllFacts, mostWaiting, l.guard.Metered(true, in.onFacts))
	in.subs = slices.Clone(l.subs[before:])
	return err
}

// close takes nothing more, and writes what was taken, before the master's
// jobs are left to others: they read the returns from the bucket.
func (in *intake) close(ctx context.Context) {
	for _, s := range in.subs {
		if s.Drain() != nil {
			continue // the connection is gone, and nothing comes any more
		}
		for s.IsValid() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	in.stop()
	for _, w := range []*batch.Writer{in.returns, in.facts} {
		select {
		case <-w.Done():
		case <-ctx.Done():
		}
	}
}

func (in *intake) stop() {
	in.returns.Stop()
	in.facts.Stop()
}

func (l *live) subscribeQueue(subject string, most int, fn nats.MsgHandler) error {
	sub, err := l.nc.QueueSubscribe(subject, intakeQueue, fn)
	if err != nil {
		return err
	}
	return l.bound(sub, most)
}

// ownReply reports whether the answer to a message goes to the inbox of the
// peel that its subject names.
func ownReply(msg *nats.Msg, id fleet.PeelID) bool {
	return bus.OwnReply(msg, id)
}

func (in *intake) own(msg *nats.Msg, id fleet.PeelID) bool {
	if !ownReply(msg, id) {
		in.stray("reply")
		return false
	}
	return true
}

func (in *intake) stray(reason string) { in.m.metrics.stray.WithLabelValues(reason).Inc() }

// onReturn counts a return, and has it stored. It reaches one master, which
// answers when it is stored; until then the peel keeps it.
func (in *intake) onReturn(msg *nats.Msg) {
	jid, id, n, ok := bus.ParseReturn(msg.Subject)
	if !ok {
		in.stray("malformed")
		return
	}
	if !in.own(msg, id) {
		return
	}
	if len(msg.Data) > maxReturnMessage {
		in.stray("malformed")
		bus.Refuse(msg, "this part of a return is too long")
		return
	}
	p, err := job.ParsePart(msg.Data, jid, id, n)
	if err != nil {
		in.stray("malformed")
		in.m.log.Warn("a return cannot be read", "jid", jid, "peel", id, "error", err)
		bus.Refuse(msg, err.Error())
		return
	}
	in.m.counted(in.l, p, n, msg)
	switch ours, known, err := in.aimed.at(jid, id); {
	case err != nil:
		bus.Retry(msg, err.Error())
		return
	case !known:
		bus.Refuse(msg, "no such job")
		return
	case !ours:
		if in.l.board.run(jid) == nil { // else it is counted there
			in.stray("untargeted")
		}
		bus.Refuse(msg, "the job was not for this peel")
		return
	}
	in.returns.Put(in.l.ctx, &batch.Value{Msg: msg, Key: bus.ReturnKey(jid, id, n), Once: true, Hold: in.l.board.hold(jid)})
}

func (in *intake) onFacts(msg *nats.Msg) {
	id, ok := bus.ParseFacts(msg.Subject)
	if !ok {
		in.stray("facts")
		return
	}
	if !in.own(msg, id) {
		return
	}
	if err := checkFacts(msg.Data, id); err != nil {
		in.stray("facts")
		bus.Refuse(msg, err.Error())
		return
	}
	if !in.facts.Offer(&batch.Value{Msg: msg, Key: string(id)}) {
		in.m.metrics.unstored.Inc()
		bus.Retry(msg, "so many facts come that the bus is behind")
	}
}

// checkFacts looks at the form of facts; what stands in them is the peel's.
func checkFacts(data []byte, id fleet.PeelID) error {
	if len(data) > maxFacts {
		return errs.New(errs.TooLarge, "the facts have %d bytes, at most %d are kept", len(data), maxFacts)
	}
	var f fleet.Facts
	if err := json.Unmarshal(data, &f); err != nil {
		return errs.New(errs.Invalid, "the facts cannot be read: %w", err)
	}
	if f.ID != id {
		return errs.New(errs.Invalid, "the facts are of %q and not of %q", f.ID, id)
	}
	return nil
}
