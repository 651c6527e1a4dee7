package holder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
)

func put(t *testing.T, p *fleettest.Peel, name, value string) {
	t.Helper()
	if err := basket.Set(t.Context(), p, basket.Put{Name: name, Value: json.RawMessage(value)}); err != nil {
		t.Fatalf("%s puts %s: %v", p.ID(), name, err)
	}
}

// read is what a peel is given, as text.
func read(t *testing.T, p *fleettest.Peel, target, name string) string {
	t.Helper()
	values, err := basket.Get(t.Context(), p, target, name)
	if err != nil {
		if !errors.Is(err, bus.ErrRefused) {
			t.Errorf("%s reads %s of %s: %v", p.ID(), name, target, err)
		}
		return "refused"
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(values)) {
		out = append(out, string(id)+"="+string(values[id]))
	}
	return strings.Join(out, " ")
}

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()),
		holder.Rule{Readers: "web-*", Of: "db-*", Names: "addr*"},
		holder.Rule{Readers: "L@mon", Of: "*", Names: "*"})
	p := s.peels("db-1", "db-2", "mon", "web-1", "web-2")
	for id, peel := range p {
		put(t, peel, "addr", `"`+string(id)+`"`)
		put(t, peel, "secret", `{"of":"<`+string(id)+`>"}`)
	}
	put(t, p["db-2"], "addr6", `["::1"]`)
	for _, tt := range []struct {
		reader       fleet.PeelID
		target, name string
		want         string
	}{
		{"web-1", "db-*", "addr", `db-1="db-1" db-2="db-2"`},
		{"web-1", "*", "addr", `db-1="db-1" db-2="db-2" web-1="web-1"`}, // its own, and not web-2's
		{"web-1", "db-2", "addr6", `db-2=["::1"]`},
		{"web-1", "web-2", "addr", ""},
		{"web-1", "mon", "addr", ""},
		{"web-1", "db-1", "secret", "refused"},
		{"web-1", "*", "secret", `web-1={"of":"<web-1>"}`},
		{"web-1", "web-1", "secret", `web-1={"of":"<web-1>"}`},
		{"web-1", "nobody", "secret", "refused"},
		{"db-1", "db-2", "addr", "refused"},
		{"db-1", "web-1", "addr", "refused"},
		{"db-1", "db-1", "addr", `db-1="db-1"`},
		{"db-1", "db-1", "none", ""},
		{"mon", "web-* or db-1", "addr", `db-1="db-1" web-1="web-1" web-2="web-2"`},
		{"mon", "db-*", "addr6", `db-2=["::1"]`},
		{"mon", "(db-*", "addr", "refused"},
		{"mon", "", "addr", "refused"},
		{"mon", "*", "addr6", `db-2=["::1"]`},
	} {
		if got := read(t, p[tt.reader], tt.target, tt.name); got != tt.want {
			t.Errorf("%s reads %s of %s: %s, want %s", tt.reader, tt.name, tt.target, got, tt.want)
		}
	}
}

// TestOnlyAsItself: whose value it is says the subject, and the broker says who
// may publish there.
func TestOnlyAsItself(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	p := s.peels("a", "b")
	put(t, p["b"], "x", "1")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for _, what := range []string{basket.AskPut, basket.AskRemove, basket.AskGet} {
		if _, err := fleettest.Ask(ctx, p["a"].NC, bus.AskSubject("b", what), []byte(`{"name":"x","value":2,"target":"b"}`), 300*time.Millisecond); err == nil {
			t.Errorf("a asks %s as b", what)
		}
	}
	// What a payload says of the peel changes nothing.
	for _, body := range []string{`{"peel":"b","id":"b","name":"x","value":3}`, `{"name":"b.x","value":3}`, `{"name":"../b.x","value":3}`, `{"name":"*","value":3}`, `{"name":">","value":3}`} {
		_, _ = p["a"].Ask(t.Context(), basket.AskPut, []byte(body)) // taken as a's, or refused
	}
	if got := read(t, p["b"], "b", "x"); got != "b=1" {
		t.Errorf("b's value is %s", got)
	}
	items, _, err := s.holder.Items(t.Context(), holder.Query{Values: true})
	if err != nil || len(items) != 2 || items[0].Peel != "a" || items[0].Name != "x" || string(items[0].Value) != "3" {
		t.Errorf("%+v %v", items, err)
	}
}

func TestLimitsOfAPeel(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	p := s.peels("a")["a"]
	refused := func(what, body, says string) {
		t.Helper()
		_, err := p.Ask(t.Context(), basket.AskPut, []byte(body))
		if !errors.Is(err, bus.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", what, err, says)
		}
	}
	text := func(n int) string { return `"` + strings.Repeat("<", n-2) + `"` }
	refused("no JSON", `{`, "cannot be read")
	refused("nothing", ``, "cannot be read")
	refused("a name with a dot", `{"name":"a.b","value":1}`, "no name")
	refused("no value", `{"name":"a"}`, "no value")
	refused("deep", `{"name":"a","value":`+strings.Repeat("[", 65)+strings.Repeat("]", 65)+`}`, "nested deeper")
	refused("no UTF-8", "{\"name\":\"a\",\"value\":\"\xff\"}", "UTF-8")
	refused("too large", `{"name":"a","value":`+text(fleet.MaxBasketValue+1)+`}`, "at most 65536")
	for n := range 15 { // 15 × 64 KiB, and no more than 1 MiB together
		put(t, p, fmt.Sprintf("big%d", n), text(fleet.MaxBasketValue))
	}
	put(t, p, "rest", text(fleet.MaxBasketValue-10))
	refused("too much together", `{"name":"more","value":`+text(100)+`}`, "together")
	put(t, p, "big0", text(fleet.MaxBasketValue-200)) // its own place is free
	put(t, p, "more", text(100))
	for n := range fleet.MaxBasketNames - 17 {
		put(t, p, fmt.Sprintf("n%d", n), "1")
	}
	refused("too many names", `{"name":"another","value":1}`, "64 values already")
	put(t, p, "n0", "2")
	if removed, err := basket.Remove(t.Context(), p, "n0"); err != nil || !removed {
		t.Errorf("removed is %v, %v", removed, err)
	}
	if removed, err := basket.Remove(t.Context(), p, "n0"); err != nil || removed {
		t.Errorf("removed again is %v, %v", removed, err)
	}
	put(t, p, "another", "1")
	items, err := basket.List(t.Context(), p)
	if err != nil || len(items) != fleet.MaxBasketNames || items[0].Name != "another" || items[0].Size != 1 || items[0].Updated.IsZero() {
		t.Errorf("%d items: %+v %v", len(items), items[0], err)
	}
	// A value comes back as it is, whatever is in it.
	if got := read(t, p, "a", "big1"); got != "a="+text(fleet.MaxBasketValue) {
		t.Errorf("%d bytes came back", len(got))
	}
}

// TestManyAtOnce: the limit holds also for what comes at the same time.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	p := s.peels("a")["a"]
	results := make(chan error, 150)
	for n := range cap(results) {
		go func() {
			results <- basket.Set(t.Context(), p, basket.Put{Name: fmt.Sprintf("n%d", n), Value: json.RawMessage("1")})
		}()
	}
	taken := 0
	for range cap(results) {
		if err := <-results; err == nil {
			taken++
		} else if !errors.Is(err, bus.ErrRefused) {
			t.Error(err)
		}
	}
	kv, err := s.JS.KeyValue(t.Context(), bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil || len(keys) != fleet.MaxBasketNames || taken != len(keys) {
		t.Errorf("%d were taken, the bucket has %d (%v)", taken, len(keys), err)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()), holder.Rule{Readers: "*", Of: "*", Names: "*"})
	var ids []fleet.PeelID
	for n := range 20 {
		ids = append(ids, fleet.PeelID(fmt.Sprintf("p%02d", n)))
	}
	value := `"` + strings.Repeat("<", 60<<10) + `"`
	p := s.peels(ids...)
	for _, id := range ids {
		put(t, p[id], "big", value)
	}
	_, err := basket.Get(t.Context(), p["p00"], "*", "big")
	if !errors.Is(err, bus.ErrRefused) || !strings.Contains(err.Error(), "narrow the target") {
		t.Errorf("1.2 MB: %v", err)
	}
	if got, err := basket.Get(t.Context(), p["p00"], "p0*", "big"); err != nil || len(got) != 10 || string(got["p07"]) != value {
		t.Errorf("600 KB: %d values, %v", len(got), err)
	}
	// People get them in pages.
	var seen []string
	for after := ""; ; {
		items, next, err := s.holder.Items(t.Context(), holder.Query{Name: "big", Values: true, After: after, Limit: 7})
		if err != nil || len(items) == 0 || len(items) > 7 {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for _, it := range items {
			seen = append(seen, string(it.Peel))
		}
		if after = next; next == "" {
			break
		}
	}
	var want []string
	for _, id := range ids {
		want = append(want, string(id))
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

// TestRestart: what was acknowledged is there when another master, and another
// broker, begin.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := fleettest.Start(t, dir)
	s := begin(t, w)
	p := s.peels("a")["a"]
	for n := range 20 {
		put(t, p, fmt.Sprintf("n%d", n), fmt.Sprint(n))
	}
	if _, err := basket.Remove(t.Context(), p, "n3"); err != nil {
		t.Fatal(err)
	}
	s.end()
	again := begin(t, w)
	check := func(h *holder.Holder) {
		t.Helper()
		items, _, err := h.Items(t.Context(), holder.Query{Values: true, Limit: 100})
		if err != nil || len(items) != 19 {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for _, it := range items {
			if "n"+string(it.Value) != it.Name {
				t.Errorf("%+v", it)
			}
		}
	}
	check(again.holder)
	if got := read(t, p, "a", "n7"); got != "a=7" {
		t.Errorf("the next master says %q", got)
	}
	again.end()
	w.Stop()
	other := fleettest.Start(t, dir)
	third := begin(t, other)
	third.peels("a")
	check(third.holder)
}

// TestTwoMasters: what one takes the other tells, and what one forgets the
// other does not know any more.
func TestTwoMasters(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	rule := holder.Rule{Readers: "*", Of: "*", Names: "*"}
	one, two := begin(t, w, rule), begin(t, w, rule)
	p := one.peels("a", "b")
	two.peels("b")
	for n := range 20 {
		put(t, p["a"], "x", fmt.Sprint(n))
	}
	for _, s := range []*site{one, two} {
		fleettest.Eventually(t, "both masters know", func() error { return shares(t, s, "a.x=19") })
	}
	put(t, p["b"], "y", "1")
	if err := one.holder.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*site{one, two} {
		fleettest.Eventually(t, "both masters forget", func() error { return shares(t, s, "b.y=1") })
	}
	kv, err := w.JS.KeyValue(t.Context(), bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := kv.Get(t.Context(), "a.x"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("the bucket has %v, %v", e, err)
	}
}

func shares(t *testing.T, s *site, want string) error {
	t.Helper()
	items, _, err := s.holder.Items(t.Context(), holder.Query{Values: true, Limit: 100})
	var got []string
	for _, it := range items {
		got = append(got, fmt.Sprintf("%s.%s=%s", it.Peel, it.Name, it.Value))
	}
	if text := strings.Join(got, " "); err != nil || text != want {
		return fmt.Errorf("%q, %w", text, err)
	}
	return nil
}

// TestKeep: names that left the configuration go, those that were put by hand
// stay, and what is there already is not asked for.
func TestKeep(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	p := s.peels("a")["a"]
	put(t, p, "hand", "1")
	values := map[string]json.RawMessage{"old": []byte("1"), "same": []byte("2"), "new": []byte("3")}
	for _, name := range []string{"old", "same"} {
		if err := basket.Set(t.Context(), p, basket.Put{Name: name, Value: values[name], Configured: true}); err != nil {
			t.Fatal(err)
		}
	}
	delete(values, "old")
	got, err := basket.Configure(t.Context(), p, values)
	if diff := cmp.Diff(basket.Kept{Want: []string{"new"}, Removed: []string{"old"}}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if err := shares(t, s, "a.hand=1 a.same=2"); err != nil {
		t.Error(err)
	}
	if got, err := basket.Configure(t.Context(), p, nil); err != nil || len(got.Removed) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if err := shares(t, s, "a.hand=1"); err != nil {
		t.Error(err)
	}
}

// TestHostileBucket: what somebody writes into the bucket by hand does no harm.
func TestHostileBucket(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	kv, err := w.JS.KeyValue(t.Context(), bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"a": "1", "a.b.c": `{"value":1}`, "A.x": `{"value":1}`, "a.bad": "{", "a.good": `{"value":1}`} {
		if _, err := kv.PutString(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	s := begin(t, w)
	p := s.peels("a")["a"]
	put(t, p, "more", "2")
	if err := shares(t, s, "a.good=1 a.more=2"); err != nil {
		t.Error(err)
	}
}

func TestConsumersAreConstant(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	stream, err := s.JS.Stream(t.Context(), "KV_"+bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		p := s.peels(fleet.PeelID(fmt.Sprintf("p%d", n)))[fleet.PeelID(fmt.Sprintf("p%d", n))]
		put(t, p, "x", "1")
		read(t, p, string(p.ID()), "x")
		info, err := stream.Info(t.Context())
		if err != nil || info.State.Consumers != 1 {
			t.Errorf("%d consumers, %v", info.State.Consumers, err)
		}
	}
}
