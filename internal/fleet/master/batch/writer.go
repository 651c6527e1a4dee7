// Package batch writes what many peels say into a bucket. A bucket syncs once
// per batch, where it would sync once per value, so that a fleet that answers
// at once does not wait for the disk once per peel. Each value is answered, to
// the peel that sent it, when the bucket has it.
package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// How long the bus may take to acknowledge a write, and a batch of them.
const (
	storeWait  = 5 * time.Second
	commitWait = 10 * time.Second
)

// maxWaiting bounds the bytes of the values that wait.
const maxWaiting = 256 << 20

// Config is what a writer writes, and how.
type Config struct {
	Bucket string
	Queue  int           // values that may wait to be written
	Hold   time.Duration // how long a value may wait for others that says nothing itself
}

// Deps are what a writer needs.
type Deps struct {
	NC *nats.Conn
	JS jetstream.JetStream // whose publishing without waiting is bounded
	// Room returns an error when there is no room to write anything down.
	Room func() error
	// Batches counts those that were stored as one, Split those that the bus did
	// not take as one, and Unstored the values that a peel has to send again.
	Batches, Split, Unstored prometheus.Counter
}

// Value is a value on its way into a bucket, with whom to answer.
type Value struct {
	Msg  *nats.Msg
	Key  string
	Once bool          // it is good, too, when the key has a value already
	Hold time.Duration // how long it may wait for others; 0 is what the configuration says

	same []*nats.Msg // further messages that the outcome is the answer to
}

func (v *Value) each(answer func(*nats.Msg)) {
	answer(v.Msg)
	for _, m := range v.same {
		answer(m)
	}
}

// Writer writes values into one bucket: what waits at the same time, at once.
// There is to be one of each bucket, since the order of the values of a key
// counts. Use New.
type Writer struct {
	cfg    Config
	deps   Deps
	queue  chan *Value
	queued atomic.Int64  // bytes in queue
	latest latest        // what was written once; only Run touches it
	ending chan struct{} // closed when no value is taken any more
	stop   func()        // closes ending, once
	done   chan struct{} // closed when nothing is written any more
}

// New makes a writer that does not write yet.
func New(cfg Config, deps Deps) *Writer {
	w := &Writer{cfg: cfg, deps: deps, queue: make(chan *Value, cfg.Queue), ending: make(chan struct{}), done: make(chan struct{})}
	w.stop = sync.OnceFunc(func() { close(w.ending) })
	return w
}

// Stop has the writer take nothing more. What it has taken it writes still.
func (w *Writer) Stop() { w.stop() }

// Done is closed when Run has returned.
func (w *Writer) Done() <-chan struct{} { return w.done }

// Run writes until Stop, and then what was taken by then.
func (w *Writer) Run() {
	defer close(w.done)
	for {
		select {
		case first := <-w.queue:
			w.writeAll(w.gather(w.out(first)))
		case <-w.ending:
			select {
			case first := <-w.queue:
				w.writeAll(w.gather(w.out(first)))
			default:
				return
			}
		}
	}
}

func (w *Writer) writeAll(values []*Value) {
	for batch := range slices.Chunk(values, mostBatch) {
		w.write(batch)
	}
}

// write stores a batch, answers everybody in it, and returns when it has: what
// comes meanwhile makes the next batch. When the bus does not take it as a
// whole, since one of its keys has a value or because the bus is an older one,
// the values go one by one.
func (w *Writer) write(batch []*Value) {
	if err := w.deps.Room(); err != nil {
		for _, v := range batch {
			w.later(v, err.Error())
		}
		return
	}
	if len(batch) >= leastBatch {
		err := w.commit(batch)
		switch {
		case err == nil:
			w.deps.Batches.Inc()
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
		w.deps.Split.Inc()
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
func (w *Writer) publish(v *Value) jetstream.PubAckFuture {
	var opts []jetstream.PublishOpt
	if v.Once {
		opts = append(opts, jetstream.WithExpectLastSequencePerSubject(0))
	}
	ack, err := w.deps.JS.PublishAsync("$KV."+w.cfg.Bucket+"."+v.Key, v.Msg.Data, opts...)
	if err != nil {
		w.later(v, bus.Explain(w.cfg.Bucket, err).Error())
		return nil
	}
	return ack
}

// await answers when one value is stored, or is not in time.
func (w *Writer) await(v *Value, ack jetstream.PubAckFuture, patience *time.Timer) {
	select {
	case <-ack.Ok():
		w.accept(v)
	case err := <-ack.Err():
		if v.Once && isStored(err) {
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
func (w *Writer) accept(v *Value) {
	if v.Once {
		w.latest.put(v.Key)
	}
	v.each(bus.Accept)
}

// later tells a peel to try again.
func (w *Writer) later(v *Value, why string) {
	w.deps.Unstored.Inc()
	v.each(func(m *nats.Msg) { bus.Retry(m, why) })
}

// Offer queues a value. It reports false when the queue is full.
func (w *Writer) Offer(v *Value) bool {
	select {
	case w.queue <- v:
		w.queued.Add(int64(len(v.Msg.Data)))
		return true
	default:
		return false
	}
}

// Put queues a value, once there is room: what waits behind it waits in the
// subscription.
func (w *Writer) Put(ctx context.Context, v *Value) {
	for w.queued.Load() > maxWaiting && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	select {
	case w.queue <- v:
		w.queued.Add(int64(len(v.Msg.Data)))
	case <-w.ending:
		w.later(v, "the master is being stopped")
	}
}

// out notes that a value has left the queue.
func (w *Writer) out(v *Value) *Value {
	w.queued.Add(-int64(len(v.Msg.Data)))
	return v
}
