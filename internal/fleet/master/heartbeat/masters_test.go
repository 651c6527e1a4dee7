package heartbeat

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
)

// entry is an entry of the bucket, written at a revision.
type entry struct {
	jetstream.KeyValueEntry
	key      string
	revision uint64
	beat     *beat // nil when it was deleted
}

func (e entry) Key() string      { return e.key }
func (e entry) Revision() uint64 { return e.revision }

func (e entry) Value() []byte {
	b, _ := json.Marshal(e.beat)
	return b
}

func (e entry) Operation() jetstream.KeyValueOp {
	if e.beat == nil {
		return jetstream.KeyValueDelete
	}
	return jetstream.KeyValuePut
}

// bucket shows a master what is written, in its order.
type bucket struct {
	s    *Masters
	last uint64
}

func newBucket() *bucket { return &bucket{s: New(Config{Key: "own", Name: "Own"}, Deps{})} }

func (b *bucket) write(key, instance string, n int) error {
	b.last++
	return b.s.Apply(entry{key: key, revision: b.last, beat: &beat{Name: key, Instance: instance, Beat: n}})
}

// own writes further beats of this master.
func (b *bucket) own(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := b.write("own", b.s.mine.Instance, b.s.beats+1); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTimeIsCountedInBeats: another master is dead when it has written nothing
// while this one wrote four times, and not while nothing can be written.
func TestTimeIsCountedInBeats(t *testing.T) {
	t.Parallel()
	b := newBucket()
	b.own(t, 1)
	if b.s.Alive("other") {
		t.Error("one that was never seen lives")
	}
	if err := b.write("other", "x", 1); err != nil {
		t.Fatal(err)
	}
	for n := range missBeats {
		if !b.s.Alive("other") {
			t.Errorf("it is dead %d beats after its own", n)
		}
		b.own(t, 1)
	}
	if b.s.Alive("other") {
		t.Error("it lives, and has said nothing for four beats")
	}
	if err := b.write("other", "x", 2); err != nil || !b.s.Alive("other") {
		t.Errorf("it is dead, and has just said something (%v)", err)
	}
	b.last++
	if err := b.s.Apply(entry{key: "other", revision: b.last}); err != nil || b.s.Alive("other") {
		t.Errorf("it lives, and has said that it ends (%v)", err)
	}
	select {
	case <-b.s.Left():
	default:
		t.Error("nobody is told that it has ended")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	t.Run("nobody had it", func(t *testing.T) {
		t.Parallel()
		b := newBucket()
		if b.s.Named() {
			t.Error("it has its name before it was heard")
		}
		if b.own(t, 1); !b.s.Named() {
			t.Error("it has not")
		}
	})
	t.Run("one that is dead had it", func(t *testing.T) {
		t.Parallel()
		b := newBucket()
		if err := b.write("own", "before", 100); err != nil {
			t.Fatal(err)
		}
		if b.own(t, missBeats); b.s.Named() {
			t.Error("the one before may live")
		}
		if b.own(t, 1); !b.s.Named() {
			t.Error("it is silent, and keeps the name")
		}
	})
	t.Run("one that lives has it", func(t *testing.T) {
		t.Parallel()
		b := newBucket()
		if err := b.write("own", "before", 100); err != nil {
			t.Fatal(err)
		}
		b.own(t, 1)
		if err := b.write("own", "before", 101); !errs.Is(err, errs.Conflict) || b.s.Named() {
			t.Errorf("it has been there for longer: %v", err)
		}
	})
	t.Run("a later one wants it", func(t *testing.T) {
		t.Parallel()
		b := newBucket()
		b.own(t, 3)
		if err := b.write("own", "later", 1); err != nil {
			t.Errorf("this one has been there for longer: %v", err)
		}
	})
}
