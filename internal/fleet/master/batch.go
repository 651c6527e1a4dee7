package master

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of a batch. A bucket syncs once per batch, where it would sync once
// per value, so that a fleet that answers at once does not wait for the disk
// once per peel. A batch has a price of its own: few values go one by one.
const (
	leastBatch = 16
	mostBatch  = 1000                   // the broker's limit
	holdFew    = 2 * time.Millisecond   // without a further value, then they are written
	holdMany   = 150 * time.Millisecond // the same, when a fleet is answering
	holdMost   = ackWait / 2            // and half of what a job lets peels wait, at most
	holdValues = 1 << 17
	holdBytes  = 64 << 20
)

// want is a value on its way into a bucket, with whom to answer.
type want struct {
	msg  *nats.Msg
	key  string
	once bool          // it is good, too, when the key has a value already
	hold time.Duration // how long it may wait for others; 0 is holdMost
	same []*nats.Msg   // further messages that the outcome is the answer to
}

func (w *want) each(answer func(*nats.Msg)) {
	answer(w.msg)
	for _, m := range w.same {
		answer(m)
	}
}

// bucketWriter writes values into one bucket: what waits at the same time, at
// once. There is one of each bucket, since the order of the values of a key
// counts.
type bucketWriter struct {
	in     *intake
	bucket string
	queue  chan *want
	queued atomic.Int64  // bytes in queue
	latest latest        // what was written once; only run touches it
	done   chan struct{} // closed when nothing is written any more
}

func (in *intake) newWriter(bucket string, room int) *bucketWriter {
	w := &bucketWriter{in: in, bucket: bucket, queue: make(chan *want, room), done: make(chan struct{})}
	in.l.wg.Go(w.run)
	return w
}

// run writes until the intake is closed, and then what was taken by then.
func (w *bucketWriter) run() {
	defer close(w.done)
	for {
		select {
		case first := <-w.queue:
			w.writeAll(w.gather(w.out(first)))
		case <-w.in.closing:
			select {
			case first := <-w.queue:
				w.writeAll(w.gather(w.out(first)))
			default:
				return
			}
		}
	}
}

func (w *bucketWriter) writeAll(values []*want) {
	for batch := range slices.Chunk(values, mostBatch) {
		w.write(batch)
	}
}

// gather takes what waits and what comes right behind it. While a fleet
// answers, counting the answers has precedence over storing and acknowledging
// them, which costs as much again and which nobody watches. Of two values for
// one key, which a peel sends when it has waited for an answer, the later one
// counts, or the first where a key is written once.
func (w *bucketWriter) gather(first *want) []*want {
	g := gathering{by: map[string]*want{}, latest: &w.latest}
	g.add(first)
	most := time.NewTimer(time.Until(g.due))
	defer most.Stop()
	quiet := time.NewTimer(holdFew)
	defer quiet.Stop()
	for len(g.all) < holdValues && g.size < holdBytes {
		select {
		case next := <-w.queue:
			if g.add(w.out(next)) {
				most.Reset(time.Until(g.due))
			}
			continue
		default:
		}
		quiet.Reset(g.patience())
		select {
		case next := <-w.queue:
			if g.add(w.out(next)) {
				most.Reset(time.Until(g.due))
			}
		case <-quiet.C:
			return g.all
		case <-most.C:
			return g.all
		case <-w.in.closing:
			return g.all
		}
	}
	return g.all
}

// gathering is what is to be written next.
type gathering struct {
	all    []*want
	by     map[string]*want
	size   int
	due    time.Time // when it is to be written at the latest
	latest *latest
}

// patience is how long to wait for more.
func (g *gathering) patience() time.Duration {
	if len(g.all) < leastBatch {
		return holdFew
	}
	return holdMany
}

// add takes a value, and reports whether it is to be written earlier than
// those before.
func (g *gathering) add(next *want) (earlier bool) {
	if next.once && g.latest.has(next.key) {
		next.each(bus.Accept) // the peel has asked again before the answer came
		return false
	}
	had := g.by[next.key]
	if had == nil {
		g.by[next.key] = next
		g.all = append(g.all, next)
		g.size += len(next.msg.Data)
		due := time.Now().Add(cmp.Or(next.hold, holdMost))
		if earlier = g.due.IsZero() || due.Before(g.due); earlier {
			g.due = due
		}
		return earlier
	}
	if !next.once {
		had.msg, next.msg = next.msg, had.msg
	}
	had.same = append(had.same, next.msg)
	return false
}

// write stores a batch, answers everybody in it, and returns when it has: what
// comes meanwhile makes the next batch. When the bus does not take it as a
// whole, since one of its keys has a value or because the bus is an older one,
// the values go one by one.
func (w *bucketWriter) write(batch []*want) {
	if err := w.in.l.room(); err != nil {
		for _, v := range batch {
			w.later(v, err.Error())
		}
		return
	}
	if len(batch) >= leastBatch {
		err := w.commit(batch)
		switch {
		case err == nil:
			w.in.m.metrics.batches.Inc()
			for _, v := range batch {
				w.accept(v)
			}
			return
		case errors.Is(err, context.DeadlineExceeded):
			// The bus has too much to do, and has stored it perhaps: to say it
			// all again, one by one, would be the last straw.
			for _, v := range batch {
				w.later(v, "the bus does not acknowledge")
			}
			return
		}
		w.in.m.metrics.split.Inc()
	}
	acks := make([]jetstream.PubAckFuture, len(batch))
	for n, v := range batch {
		acks[n] = w.publish(v)
	}
	patience := time.NewTimer(storeWait)
	defer patience.Stop()
	for n, v := range batch {
		if acks[n] != nil {
			w.await(v, acks[n], patience)
		}
	}
}

// publish begins to write one value. It returns nil when the peel was told to
// try again.
func (w *bucketWriter) publish(v *want) jetstream.PubAckFuture {
	var opts []jetstream.PublishOpt
	if v.once {
		opts = append(opts, jetstream.WithExpectLastSequencePerSubject(0))
	}
	ack, err := w.in.js.PublishAsync("$KV."+w.bucket+"."+v.key, v.msg.Data, opts...)
	if err != nil {
		w.later(v, bus.Explain(w.bucket, err).Error())
		return nil
	}
	return ack
}

// await answers when one value is stored, or is not in time.
func (w *bucketWriter) await(v *want, ack jetstream.PubAckFuture, patience *time.Timer) {
	select {
	case <-ack.Ok():
		w.accept(v)
	case err := <-ack.Err():
		if v.once && isStored(err) {
			w.accept(v)
			return
		}
		w.later(v, err.Error())
	case <-patience.C:
		patience.Reset(0) // for those behind it
		w.later(v, "the bus does not acknowledge")
	}
}

// accept answers that a value is stored, and remembers it for a while: one key
// that is there already would undo a batch as a whole.
func (w *bucketWriter) accept(v *want) {
	if v.once {
		w.latest.put(v.key)
	}
	v.each(bus.Accept)
}

// latest are the newest keys, between one and two times mostLatest of them.
type latest struct{ now, before map[string]struct{} }

const mostLatest = 1 << 17

func (l *latest) has(key string) bool {
	_, now := l.now[key]
	_, before := l.before[key]
	return now || before
}

func (l *latest) put(key string) {
	if len(l.now) >= mostLatest || l.now == nil {
		l.now, l.before = map[string]struct{}{}, l.now
	}
	l.now[key] = struct{}{}
}

// later tells a peel to try again.
func (w *bucketWriter) later(v *want, why string) {
	w.in.m.metrics.unstored.Inc()
	v.each(func(m *nats.Msg) { bus.Retry(m, why) })
}

// isStored reports whether a first write failed because there was one before.
func isStored(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// commit publishes a batch, all of it or nothing.
func (w *bucketWriter) commit(batch []*want) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.in.l.ctx), commitWait)
	defer cancel()
	id := rand.Text()
	for n, v := range batch {
		m := &nats.Msg{Subject: "$KV." + w.bucket + "." + v.key, Data: v.msg.Data, Header: nats.Header{
			"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {strconv.Itoa(n + 1)},
		}}
		if v.once {
			m.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"0"}
		}
		if n < len(batch)-1 {
			if err := w.in.l.nc.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		m.Header["Nats-Batch-Commit"] = []string{"1"}
		ack, err := w.in.l.nc.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		return committed(ack.Data, len(batch))
	}
	return nil
}

// committed reads the bus's answer to a batch.
func committed(data []byte, size int) error {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return err
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Count != size {
		return errors.New("the bus acknowledged another batch")
	}
	return nil
}

// offer queues a value. It reports false when the queue is full.
func (w *bucketWriter) offer(v *want) bool {
	select {
	case w.queue <- v:
		w.queued.Add(int64(len(v.msg.Data)))
		return true
	default:
		return false
	}
}

// out notes that a value has left the queue.
func (w *bucketWriter) out(v *want) *want {
	w.queued.Add(-int64(len(v.msg.Data)))
	return v
}

// wait queues a value, once there is room: what waits behind it waits in the
// subscription.
func (w *bucketWriter) wait(v *want) {
	for w.queued.Load() > maxWaiting && w.in.l.sleep(time.Millisecond) {
	}
	select {
	case w.queue <- v:
		w.queued.Add(int64(len(v.msg.Data)))
	case <-w.in.closing:
		w.later(v, "the master is being stopped")
	}
}

// How long the bus may take to acknowledge a write, and a batch of them.
const (
	storeWait  = 5 * time.Second
	commitWait = 10 * time.Second
)
