package holder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
)

func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	good := Rule{Readers: "web-*", Of: "db-* and not L@db-9", Names: "addr*"}
	if err := (&Config{Rules: []Rule{good, good}}).Validate(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*Rule){
		"rule 2 has no readers":        func(r *Rule) { r.Readers = "" },
		"rule 2 has no of":             func(r *Rule) { r.Of = "" },
		"rule 2, readers: target":      func(r *Rule) { r.Readers = "(a" },
		"rule 2, of: target":           func(r *Rule) { r.Of = "a and" },
		`rule 2, names: "" is no glob`: func(r *Rule) { r.Names = "" },
		`rule 2, names: "[" is no`:     func(r *Rule) { r.Names = "[" },
	} {
		bad := good
		change(&bad)
		if err := (&Config{Rules: []Rule{good, bad}}).Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if err := (&Config{Rules: make([]Rule, maxRules+1)}).Validate(); err == nil || !strings.Contains(err.Error(), "at most 64") {
		t.Errorf("%v", err)
	}
}

// TestMarksAreBounded: who removes and puts new names for ever is stopped.
func TestMarksAreBounded(t *testing.T) {
	t.Parallel()
	s := newShelf()
	for n := range maxSeen {
		s.apply("a", fmt.Sprintf("n%d", n), item{gone: true, revision: uint64(n + 1)})
	}
	if _, err := s.claim("a", "new", 1); !errs.Is(err, errs.RateLimited) {
		t.Errorf("a new name: %v", err)
	}
	if _, err := s.claim("a", "n7", 1); err != nil {
		t.Errorf("an old name: %v", err)
	}
	if _, err := s.claim("b", "new", 1); err != nil {
		t.Errorf("another peel: %v", err)
	}
}

// TestClear takes the marks out of the bucket, and no value that came after.
func TestClear(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	h := New(Config{}, Deps{JS: func() jetstream.JetStream { return w.JS }})
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleettest.Stop(t, h) })
	kv, err := w.JS.KeyValue(t.Context(), bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone", "back"} {
		if _, err := kv.PutString(t.Context(), "a."+name, `{"value":1}`); err != nil {
			t.Fatal(err)
		}
		if err := kv.Delete(t.Context(), "a."+name); err != nil {
			t.Fatal(err)
		}
	}
	fleettest.Eventually(t, "the marks are seen", func() error {
		if n := len(h.shelf.marks(time.Now().Add(time.Hour))); n != 2 {
			return fmt.Errorf("%d marks", n)
		}
		return nil
	})
	if n := len(h.shelf.marks(time.Now().Add(-markAge))); n != 0 {
		t.Errorf("%d marks are old already", n)
	}
	// One comes back between the look at the marks and their end.
	before := h.shelf.marks(time.Now().Add(time.Hour))
	if _, err := kv.PutString(t.Context(), "a.back", `{"value":2}`); err != nil {
		t.Fatal(err)
	}
	for _, m := range before {
		h.shelf.apply(m.id, m.name, item{gone: true, revision: m.revision, updated: time.Now().Add(-time.Hour)})
	}
	if err := h.clear(t.Context(), w.JS, time.Now()); err != nil {
		t.Fatal(err)
	}
	stream, err := w.JS.Stream(t.Context(), "KV_"+bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil || len(info.State.Subjects) != 1 {
		t.Errorf("the bucket has %v, %v", info.State.Subjects, err)
	}
	if e, err := kv.Get(t.Context(), "a.back"); err != nil || string(e.Value()) != `{"value":2}` {
		t.Errorf("the value that came back is %v, %v", e, err)
	}
}

// TestValuesBeyondMemory are read from the bucket.
func TestValuesBeyondMemory(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	h := New(Config{}, Deps{JS: func() jetstream.JetStream { return w.JS }})
	h.shelf.held = maxHeld
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleettest.Stop(t, h) })
	h.shelf.mu.Lock()
	h.shelf.held = maxHeld
	h.shelf.mu.Unlock()
	kv, err := w.JS.KeyValue(t.Context(), bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "a.x", `{"value":[1]}`); err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it is seen", func() error {
		if it, ok := h.shelf.get("a", "x"); !ok || it.value != nil || it.size != 3 {
			return fmt.Errorf("%+v %v", it, ok)
		}
		return nil
	})
	if v, ok, err := h.value(t.Context(), "a", "x"); err != nil || !ok || string(v) != "[1]" {
		t.Errorf("%s %v %v", v, ok, err)
	}
}
