package batch_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master/batch"
)

// desk is a broker where peels say something, and hear what became of it.
type desk struct {
	t    *testing.T
	w    *fleettest.World
	deps batch.Deps
	said *nats.Subscription

	accepted, other atomic.Int64
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, w: fleettest.Start(t, t.TempDir())}
	count := func(name string) prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: name}) }
	d.deps = batch.Deps{NC: d.w.NC, JS: d.w.JS, Room: func() error { return nil }, Batches: count("batches"), Split: count("split"), Unstored: count("unstored")}
	var err error
	if d.said, err = d.w.NC.SubscribeSync("said.>"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.w.NC.Subscribe("answers", func(m *nats.Msg) {
		if strings.HasPrefix(string(m.Data), "+OK") {
			d.accepted.Add(1)
		} else {
			d.other.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// say returns what a peel says, which comes from a subscription, so that it
// can be answered.
func (d *desk) say(key, value string) *batch.Value {
	d.t.Helper()
	if err := d.w.NC.PublishRequest("said."+key, "answers", []byte(value)); err != nil {
		d.t.Fatal(err)
	}
	msg, err := d.said.NextMsg(10 * time.Second)
	if err != nil {
		d.t.Fatal(err)
	}
	return &batch.Value{Msg: msg, Key: key, Once: true}
}

// write has a writer of its own write values that wait before it begins, and
// returns when it has.
func (d *desk) write(values ...*batch.Value) {
	d.t.Helper()
	w := batch.New(batch.Config{Bucket: bus.JobReturns, Queue: len(values), Hold: time.Minute}, d.deps)
	for _, v := range values {
		if !w.Offer(v) {
			d.t.Fatal("there is no room for what was to be offered")
		}
	}
	go w.Run()
	w.Stop()
	select {
	case <-w.Done():
	case <-time.After(time.Minute):
		d.t.Fatal("the writer does not end")
	}
}

// answers waits for so many answers.
func (d *desk) answers(accepted, other int64) {
	d.t.Helper()
	fleettest.Eventually(d.t, "each is answered", func() error {
		if a, o := d.accepted.Load(), d.other.Load(); a != accepted || o != other {
			return fmt.Errorf("%d accepted and %d others, want %d and %d", a, o, accepted, other)
		}
		return nil
	})
}

// counts compares the counters.
func (d *desk) counts(batches, split, unstored float64) {
	d.t.Helper()
	if b, s, u := testutil.ToFloat64(d.deps.Batches), testutil.ToFloat64(d.deps.Split), testutil.ToFloat64(d.deps.Unstored); b != batches || s != split || u != unstored {
		d.t.Errorf("%v batches, %v split, %v unstored; want %v, %v, %v", b, s, u, batches, split, unstored)
	}
}

func (d *desk) bucket() (jetstream.KeyValue, jetstream.StreamState) {
	d.t.Helper()
	kv, err := d.w.JS.KeyValue(d.t.Context(), bus.JobReturns)
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := d.w.JS.Stream(d.t.Context(), "KV_"+bus.JobReturns)
	if err != nil {
		d.t.Fatal(err)
	}
	info, err := s.Info(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return kv, info.State
}

// TestABatchWithAValueThatIsStored is split: the new ones are stored, and the
// old one stays as it is.
func TestABatchWithAValueThatIsStored(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var values []*batch.Value
	for n := range 40 {
		values = append(values, d.say(fmt.Sprintf("host-%d", n), "first"))
	}
	d.write(values[:20]...)
	d.answers(20, 0)
	d.counts(1, 0, 0)
	d.write(append(values[20:], d.say("host-19", "again"))...)
	d.answers(41, 0)
	d.counts(1, 1, 0)
	kv, state := d.bucket()
	if state.Msgs != 40 || state.LastSeq != 40 {
		t.Errorf("the bucket has %d values after %d writes", state.Msgs, state.LastSeq)
	}
	if e, err := kv.Get(t.Context(), "host-19"); err != nil || string(e.Value()) != "first" {
		t.Errorf("what was stored first is not there any more (%v)", err)
	}
}

// TestTwoValuesForAKey: one is stored, and both are answered.
func TestTwoValuesForAKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first, again := d.say("a", "1"), d.say("a", "2")
	early, later := d.say("b", "1"), d.say("b", "2")
	early.Once, later.Once = false, false
	d.write(first, again, early, later)
	d.answers(4, 0)
	kv, state := d.bucket()
	if state.LastSeq != 2 {
		t.Errorf("the bucket was written %d times", state.LastSeq)
	}
	for key, want := range map[string]string{"a": "1", "b": "2"} {
		if e, err := kv.Get(t.Context(), key); err != nil || string(e.Value()) != want {
			t.Errorf("%s is not %s (%v)", key, want, err)
		}
	}
}

// TestNoRoom: what cannot be written is said again later.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.deps.Room = func() error { return errors.New("the disk is full") }
	d.write(d.say("a", "1"), d.say("b", "1"))
	d.answers(0, 2)
	d.counts(0, 0, 2)
	w := batch.New(batch.Config{Bucket: bus.JobReturns, Queue: 1, Hold: time.Minute}, d.deps)
	if !w.Offer(d.say("c", "1")) || w.Offer(d.say("d", "1")) {
		t.Error("a queue for one takes none, or two")
	}
	w.Stop()
	w.Put(t.Context(), d.say("e", "1"))
	d.answers(0, 3)
}
