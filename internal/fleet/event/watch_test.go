package event_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/fleettest"
)

// TestManyWatchersOneConsumer: however many watch or list, the bus has one
// consumer for the process.
func TestManyWatchersOneConsumer(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, reg := begin(t, w)
	told(t, s, "first", "")
	for n := range 50 {
		steps, _ := watch(t, s, event.Query{Since: time.Now().Add(-time.Hour)})
		if e := next(t, steps); e.Name != "first" {
			t.Errorf("watcher %d is shown %s", n, e.Name)
		}
		if _, _, err := s.List(t.Context(), event.Query{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := consumers(t, w); err != nil {
		t.Error(err)
	}
	if n := fleettest.Counter(t, reg, "rind_event_watchers", ""); n != 50 {
		t.Errorf("%v watch", n)
	}
	fleettest.Stop(t, s)
	stream, err := w.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil || stream.CachedInfo().State.Consumers != 0 {
		t.Errorf("%d consumers are left, %v", stream.CachedInfo().State.Consumers, err)
	}
}

// TestSlowWatcher misses nothing, though it reads far more than is kept in
// memory, and holds nobody up.
func TestSlowWatcher(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	slow, _ := watch(t, s, event.Query{})
	quick, _ := watch(t, s, event.Query{Glob: "last"})
	const n = 6000 // more than the tail
	js, err := jetstream.New(w.NC, jetstream.WithPublishAsyncMaxPending(n))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		data := fmt.Appendf(nil, `{"id":"%d","name":"n","by":"x","at":"2026-01-01T00:00:00Z","data":%d}`, i, i)
		if _, err := js.PublishAsync(bus.StoredEventSubject(bus.ByPeople, "n"), data); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(60 * time.Second):
		t.Fatal("the broker is too slow")
	}
	told(t, s, "last", "")
	if e := next(t, quick); e.Name != "last" {
		t.Errorf("got %s", e.Name)
	}
	for i := range n {
		if e := next(t, slow); string(e.Data) != fmt.Sprint(i) {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	if e := next(t, slow); e.Name != "last" {
		t.Errorf("got %s", e.Name)
	}
}

// TestGapIsTold: who wants what the stream has dropped is told how much that
// is.
func TestGapIsTold(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, reg := begin(t, w)
	for n := range 10 {
		told(t, s, "n", fmt.Sprint(n))
	}
	stream, err := w.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeKeep(3)); err != nil {
		t.Fatal(err)
	}
	fleettest.Stop(t, s) // what it has in memory goes
	again, reg2 := begin(t, w)
	steps, _ := watch(t, again, event.Query{After: 2})
	if step := <-steps; step.Lost != 5 {
		t.Errorf("%+v", step)
	}
	for n := 7; n < 10; n++ {
		if e := next(t, steps); string(e.Data) != fmt.Sprint(n) {
			t.Errorf("got %s, want %d", e.Data, n)
		}
	}
	if a, b := fleettest.Counter(t, reg, "rind_event_lost_total", ""), fleettest.Counter(t, reg2, "rind_event_lost_total", ""); a != 0 || b != 5 {
		t.Errorf("lost are %v and %v", a, b)
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	told(t, s, "old", "")
	time.Sleep(20 * time.Millisecond)
	cut := time.Now()
	time.Sleep(20 * time.Millisecond)
	told(t, s, "new", "")
	events, _, err := s.List(t.Context(), event.Query{Since: cut})
	if err != nil || len(events) != 1 || events[0].Name != "new" {
		t.Errorf("%+v %v", events, err)
	}
	if events, next, err := s.List(t.Context(), event.Query{Since: time.Now().Add(time.Hour)}); err != nil || len(events) != 0 || next != 0 {
		t.Errorf("the future: %+v %d %v", events, next, err)
	}
	steps, _ := watch(t, s, event.Query{Since: cut})
	if e := next(t, steps); e.Name != "new" {
		t.Errorf("got %s", e.Name)
	}
	later, _ := watch(t, s, event.Query{Since: time.Now().Add(time.Hour)}) // behind "new", which has come
	told(t, s, "newest", "")
	if e := next(t, steps); e.Name != "newest" {
		t.Errorf("got %s", e.Name)
	}
	if e := next(t, later); e.Name != "newest" {
		t.Errorf("got %s", e.Name)
	}
}

func TestLatest(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	began := time.Now()
	for n := range 600 { // more than a batch
		told(t, s, []string{"a", "b"}[n%2], fmt.Sprint(n))
	}
	events, err := s.Latest(t.Context(), event.Query{Glob: "a", Since: began.Add(-time.Minute), Limit: 3})
	if err != nil || len(events) != 3 || string(events[0].Data) != "598" || string(events[2].Data) != "594" {
		t.Errorf("%+v %v", events, err)
	}
	events, err = s.Latest(t.Context(), event.Query{Since: began.Add(-time.Minute), Until: events[2].At, Limit: 1})
	if err != nil || len(events) != 1 || string(events[0].Data) != "594" {
		t.Errorf("%+v %v", events, err)
	}
	if events, err := s.Latest(t.Context(), event.Query{Since: time.Now().Add(time.Minute)}); err != nil || len(events) != 0 {
		t.Errorf("%+v %v", events, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes := s.Changes(ctx)
	told(t, s, "a", "")
	select {
	case <-changes:
	case <-time.After(20 * time.Second):
		t.Error("no change is told")
	}
	cancel()
	for range changes { // it is closed
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	var want []string
	for n := range 25 {
		name := []string{"a.one", "b"}[n%2]
		told(t, s, name, fmt.Sprint(n))
		if name == "a.one" {
			want = append(want, fmt.Sprint(n))
		}
	}
	var got []string
	for after := uint64(0); ; {
		events, next, err := s.List(t.Context(), event.Query{Glob: "a*", After: after, Limit: 5})
		if err != nil || len(events) > 5 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, e := range events {
			got = append(got, string(e.Data))
		}
		if after = next; next == 0 {
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, g := range []string{"[", strings.Repeat("a", 600)} {
		if _, _, err := s.List(t.Context(), event.Query{Glob: g}); !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.TooLarge) {
			t.Errorf("%.10s: %v", g, err)
		}
		if _, err := s.Watch(t.Context(), event.Query{Glob: g}); err == nil {
			t.Errorf("%.10s is watched", g)
		}
	}
}

// TestConsumerIsMadeAgain when somebody deletes it.
func TestConsumerIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	steps, _ := watch(t, s, event.Query{})
	told(t, s, "a", "")
	next(t, steps)
	stream, err := w.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if err := w.JS.DeleteConsumer(t.Context(), bus.EventsStream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
	}
	told(t, s, "b", "")
	if e := next(t, steps); e.Name != "b" {
		t.Errorf("got %s", e.Name)
	}
	fleettest.Eventually(t, "one consumer", func() error { return consumers(t, w) })
}
