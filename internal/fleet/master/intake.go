package master

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
)

// Bounds of what is on its way into the buckets.
const (
	maxStoring  = 4096            // writes that the broker has not acknowledged
	storeWait   = 5 * time.Second // for one acknowledgement
	intakeQueue = "masters"       // each message is taken by one master
	maxFacts    = 200 << 10
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
	js      jetstream.JetStream
	storing chan stored
	aimed   aimed
}

// stored is a write whose acknowledgement is waited for.
type stored struct {
	msg  *nats.Msg
	ack  jetstream.PubAckFuture
	once bool // it is good, too, when the key has a value already
}

func (m *Master) takeIn(l *live) error {
	js, err := jetstream.New(l.nc, jetstream.WithPublishAsyncMaxPending(maxStoring))
	if err != nil {
		return err
	}
	in := &intake{m: m, l: l, js: js, storing: make(chan stored, maxStoring), aimed: aimed{l: l, lists: map[string][]fleet.PeelID{}}}
	l.wg.Go(in.answer)
	if err := l.subscribeQueue(bus.AllReturns, m.metered(l, peelSecond, false, in.onReturn)); err != nil {
		return err
	}
	return l.subscribeQueue(bus.AllFacts, m.metered(l, peelFirst, true, in.onFacts))
}

func (l *live) subscribeQueue(subject string, fn nats.MsgHandler) error {
	sub, err := l.nc.QueueSubscribe(subject, intakeQueue, fn)
	if err == nil {
		l.subs = append(l.subs, sub)
		err = sub.SetPendingLimits(-1, maxPending)
	}
	return err
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

func (in *intake) onReturn(msg *nats.Msg) {
	jid, id, n, ok := bus.ParseReturn(msg.Subject)
	if !ok || !in.own(msg, id) {
		return // onReturn of the master counts what is malformed
	}
	if len(msg.Data) > maxReturnMessage {
		in.stray("malformed")
		bus.Refuse(msg, "this part of a return is too long")
		return
	}
	if _, err := job.ParsePart(msg.Data, jid, id, n); err != nil {
		bus.Refuse(msg, err.Error())
		return
	}
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
	key := bus.ReturnKey(jid, id, n)
	in.store(msg, bus.JobReturns, key, true, jetstream.WithMsgID(key), jetstream.WithExpectLastSequencePerSubject(0))
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
	in.store(msg, bus.Facts, string(id), false)
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

// store begins a write. When the broker is behind, the peel is told to try
// again rather than kept waiting.
func (in *intake) store(msg *nats.Msg, bucket, key string, once bool, opts ...jetstream.PublishOpt) {
	if err := in.l.room(); err != nil {
		in.m.metrics.unstored.Inc()
		bus.Retry(msg, err.Error())
		return
	}
	ack, err := in.js.PublishAsync("$KV."+bucket+"."+key, msg.Data, opts...)
	if err != nil {
		bus.Retry(msg, bus.Explain(bucket, err).Error())
		return
	}
	select {
	case in.storing <- stored{msg, ack, once}:
	case <-in.l.ctx.Done():
	}
}

// answer tells peels what became of their messages, in the order in which they
// came.
func (in *intake) answer() {
	for {
		select {
		case s := <-in.storing:
			in.await(s)
		case <-in.l.ctx.Done():
			return
		}
	}
}

func (in *intake) await(s stored) {
	t := time.NewTimer(storeWait)
	defer t.Stop()
	select {
	case <-s.ack.Ok():
		bus.Accept(s.msg)
	case err := <-s.ack.Err():
		if s.once && isStored(err) {
			bus.Accept(s.msg)
			return
		}
		in.m.metrics.unstored.Inc()
		bus.Retry(s.msg, err.Error())
	case <-t.C:
		in.m.metrics.unstored.Inc()
		bus.Retry(s.msg, "the bus does not acknowledge")
	case <-in.l.ctx.Done():
	}
}

// isStored reports whether a first write failed because there was one before.
func isStored(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
