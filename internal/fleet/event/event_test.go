package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/fleettest"
)

func TestEventsArrive(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	steps, _ := watch(t, s, event.Query{Glob: "disk.*"})
	all, _ := watch(t, s, event.Query{})
	p := w.Peel("web-1")
	if err := p.Event(t.Context(), "disk.full", []byte(`{"id":"one","data":{"mount":"<&>"}}`)); err != nil {
		t.Fatal(err)
	}
	told(t, s, "other.thing", "")
	sent := told(t, s, "disk.gone", `"sda"`)
	e := next(t, steps)
	if e.Name != "disk.full" || e.Peel != "web-1" || e.By != "" || e.ID != "one" || string(e.Data) != `{"mount":"<&>"}` || e.Seq != 1 || time.Since(e.At).Abs() > time.Minute {
		t.Errorf("%+v", e)
	}
	e = next(t, steps)
	if e.Name != "disk.gone" || e.Peel != "" || e.By != "anna" || e.ID != sent.ID || e.Seq != 3 || sent.Seq != 3 {
		t.Errorf("%+v, sent was %+v", e, sent)
	}
	for _, name := range []string{"disk.full", "other.thing", "disk.gone"} {
		if e := next(t, all); e.Name != name {
			t.Errorf("got %s, want %s", e.Name, name)
		}
	}
}

// TestWhoSentIt: a peel cannot say that it is another, or a person, or a
// master.
func TestWhoSentIt(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, reg := begin(t, w)
	p := w.Peel("evil")
	body := `{"id":"x","name":"job/done","peel":"web-1","by":"admin","at":"2001-01-01T00:00:00Z","seq":77,"data":1}`
	if err := p.Event(t.Context(), "a", []byte(body)); err != nil {
		t.Fatal(err)
	}
	events, _, err := s.List(t.Context(), event.Query{})
	if err != nil || len(events) != 1 {
		t.Fatalf("%+v %v", events, err)
	}
	if e := events[0]; e.Name != "a" || e.Peel != "evil" || e.By != "" || e.Seq != 1 || e.At.Year() < 2026 {
		t.Errorf("%+v", e)
	}
	// It cannot write the stream, nor as another, and an answer goes to its own
	// inbox only.
	for _, subject := range []string{bus.StoredEventSubject("web-1", "a"), bus.StoredEventSubject(bus.ByPeople, "a"), bus.JobEventSubject("j1"), bus.EventSubject("web-1", "a")} {
		if err := p.NC.Publish(subject, []byte(`{"name":"a"}`)); err != nil {
			t.Fatal(err)
		}
	}
	for _, reply := range []string{"", "$KV.jobs.x", bus.InboxPrefix("web-1") + ".x", bus.StoredEventSubject("web-1", "a")} {
		if err := p.NC.PublishMsg(&nats.Msg{Subject: bus.EventSubject("evil", "a"), Reply: reply, Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	fleettest.Eventually(t, "what asks for an answer elsewhere is counted", func() error {
		if n := fleettest.Counter(t, reg, "rind_event_refused_total", "stray"); n != 4 {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	if events, _, err := s.List(t.Context(), event.Query{}); err != nil || len(events) != 1 {
		t.Errorf("%+v %v", events, err)
	}
}

func TestHostileEvents(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, reg := begin(t, w)
	p := w.Peel("evil")
	text := func(n int) string { return `{"data":"` + strings.Repeat("<", n-2) + `"}` }
	long := strings.Repeat("a", 33)
	for what, c := range map[string]struct{ name, body string }{
		"a capital": {"Disk", "{}"}, "nine words": {"a.b.c.d.e.f.g.h.i", "{}"}, "a long word": {long, "{}"}, "an empty word": {"a..b", "{}"},
		"a wildcard": {"*", "{}"}, "a tail": {"a.>", "{}"}, "a dollar": {"$JS", "{}"}, "no JSON": {"a", "{"}, "nothing": {"a", ""},
		"a list": {"a", "[]"}, "no UTF-8": {"a", "{\"data\":\"\xff\"}"}, "deep": {"a", `{"data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`},
		"too large": {"a", text(fleet.MaxEventData + 1)}, "far too large": {"a", text(900 << 10)}, "a bad id": {"a", `{"id":"a.b"}`}, "a long id": {"a", `{"id":"` + strings.Repeat("i", 65) + `"}`},
	} {
		_, err := fleettest.Ask(t.Context(), p.NC, bus.EventSubject("evil", c.name), []byte(c.body), 3*time.Second)
		if what == "an empty word" { // no subject at all: the client or the broker stops it
			if err == nil {
				t.Errorf("%s was taken", what)
			}
			continue
		}
		if !errors.Is(err, bus.ErrRefused) || len(err.Error()) > 500 {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := p.Event(t.Context(), "a.b.c.d.e.f.g."+long[1:], []byte(text(fleet.MaxEventData))); err != nil {
		t.Errorf("the largest event: %v", err)
	}
	for _, c := range []struct {
		name, data string
		kind       errs.Kind
	}{{"A", "", errs.Invalid}, {"job/done", "", errs.Invalid}, {"a", "{", errs.Invalid}, {"a", `"` + strings.Repeat("x", fleet.MaxEventData) + `"`, errs.TooLarge}} {
		if _, err := s.Send(t.Context(), "anna", c.name, []byte(c.data)); !errs.Is(err, c.kind) {
			t.Errorf("a person sends %s %.10s: %v", c.name, c.data, err)
		}
	}
	events, _, err := s.List(t.Context(), event.Query{})
	if err != nil || len(events) != 1 || len(events[0].Data) != fleet.MaxEventData {
		t.Errorf("%d events, %v", len(events), err)
	}
	if n := fleettest.Counter(t, reg, "rind_event_refused_total", "invalid"); n < 10 {
		t.Errorf("%v were counted", n)
	}
}

func TestPaceOfAPeel(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s := event.New(event.Config{Rate: 1, Burst: 5}, event.Deps{NC: func() *nats.Conn { return w.NC }, JS: func() jetstream.JetStream { return w.JS }})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleettest.Stop(t, s) })
	loud, calm := w.Peel("loud"), w.Peel("calm")
	results := make(chan error, 50)
	for range cap(results) {
		go func() { results <- loud.Event(t.Context(), "a", []byte(`{}`)) }()
	}
	refused := 0
	for range cap(results) {
		if err := <-results; errors.Is(err, bus.ErrRefused) && strings.Contains(err.Error(), "send fewer") {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused < 30 || refused > 45 {
		t.Errorf("%d of 50 were refused", refused)
	}
	if err := calm.Event(t.Context(), "a", []byte(`{}`)); err != nil {
		t.Errorf("another peel: %v", err)
	}
}

// TestSaidAgain: an event whose acknowledgement was lost is stored once.
func TestSaidAgain(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, _ := begin(t, w)
	for _, id := range []fleet.PeelID{"a", "b"} {
		p := w.Peel(id)
		for range 3 {
			if err := p.Event(t.Context(), "x", []byte(`{"id":"same"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if events, _, err := s.List(t.Context(), event.Query{}); err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// TestRestart: what was acknowledged is there after the service and the broker
// have ended.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := fleettest.Start(t, dir)
	s, _ := begin(t, w)
	p := w.Peel("web-1")
	for n := range 20 {
		if err := p.Event(t.Context(), "n", fmt.Appendf(nil, `{"data":%d}`, n)); err != nil {
			t.Fatal(err)
		}
	}
	steps, _ := watch(t, s, event.Query{})
	fleettest.Stop(t, s)
	if _, open := <-steps; open {
		t.Error("a watch goes on after the end")
	}
	if _, err := s.Send(t.Context(), "anna", "x", nil); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
	w.Stop()
	again, _ := begin(t, fleettest.Start(t, dir))
	events, _, err := again.List(t.Context(), event.Query{Glob: "n"})
	if err != nil || len(events) != 20 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for n, e := range events {
		if string(e.Data) != fmt.Sprint(n) || e.Peel != "web-1" {
			t.Errorf("%d: %+v", n, e)
		}
	}
	told(t, again, "n", "20")
	steps, _ = watch(t, again, event.Query{After: 19})
	for _, want := range []string{"19", "20"} {
		if e := next(t, steps); string(e.Data) != want {
			t.Errorf("got %s, want %s", e.Data, want)
		}
	}
}

// TestEventsOfJobs: what masters tell has a name that nobody else can give.
func TestEventsOfJobs(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s, reg := begin(t, w)
	for _, body := range []string{
		`{"event":"created","at":"2026-01-02T03:04:05Z","master":"one","job":{"jid":"j1","by":"anna"}}`,
		`garbage`, `{"event":"a/b","job":{}}`, `{"event":"done"}`, `[]`,
		`{"event":"done","at":"2026-01-02T03:04:06Z","master":"one","job":{"jid":"j1","by":"anna"}}`,
	} {
		if _, err := w.JS.Publish(t.Context(), bus.JobEventSubject("j1"), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.JS.Publish(t.Context(), bus.StoredEventSubject("a", "x"), []byte(`{"name":"job/done"}`)); err != nil {
		t.Fatal(err)
	}
	told(t, s, "job.done", "")
	steps, _ := watch(t, s, event.Query{Glob: "job/*", After: 0, Since: time.Now().Add(-time.Hour)})
	for _, name := range []string{"job/created", "job/done"} {
		e := next(t, steps)
		var job fleet.Job
		if err := json.Unmarshal(e.Data, &job); err != nil || e.Name != name || e.By != "anna" || job.JID != "j1" || e.At.Year() != 2026 {
			t.Errorf("%+v %v", e, err)
		}
	}
	all, _, err := s.List(t.Context(), event.Query{Glob: "*"})
	if err != nil || len(all) != 3 || all[2].Name != "job.done" {
		t.Errorf("%+v %v", all, err)
	}
	if n := fleettest.Counter(t, reg, "rind_event_unreadable_total", ""); n < 5 {
		t.Errorf("%v could not be read", n)
	}
}
