package compile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/target"
)

// source is layers in memory.
type source struct {
	mu    sync.Mutex
	state compile.State
	err   error
}

func (s *source) At(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.At, s.err
}

func (s *source) Load(context.Context) (compile.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.err
}

func (s *source) set(layers ...settings.Layer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.At++
	s.state.Layers = layers
}

type bench struct {
	*compile.Compiler
	t   *testing.T
	src *source
	x   *target.Index
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, src: &source{}}
	var err error
	if b.Compiler, err = compile.New(compile.Deps{Source: b.src}); err != nil {
		t.Fatal(err)
	}
	b.x = target.NewIndex(target.WithSettings(b.Values))
	b.Attach(b.x)
	return b
}

func (b *bench) put(id fleet.PeelID, os string) {
	b.x.Put(id, &fleet.Facts{ID: id, OS: os})
	b.Touch(id)
}

func (b *bench) settle() {
	b.t.Helper()
	if err := b.Settle(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// echo shows what would be signed.
func echo(said []byte) ([]byte, error) { return said, nil }

// get asks as a peel does.
func (b *bench) get(id fleet.PeelID, req settings.Request) (settings.Compiled, error) {
	b.t.Helper()
	q, _ := json.Marshal(req)
	data, err := b.Answer(b.t.Context(), id, q, echo)
	if err != nil {
		return settings.Compiled{}, err
	}
	c, err := settings.ParseCompiled(data)
	if err != nil {
		b.t.Fatal(err)
	}
	return c, nil
}

func (b *bench) want(id fleet.PeelID, values string) settings.Compiled {
	b.t.Helper()
	c, err := b.get(id, settings.Request{})
	if err != nil || string(c.Values) != values {
		b.t.Errorf("%s has %s %v, want %s", id, c.Values, err, values)
	}
	return c
}

func (b *bench) drained() []string {
	changed, _, _ := b.Drain()
	out := []string{}
	for id := range changed {
		out = append(out, string(id))
	}
	slices.Sort(out)
	return out
}

var (
	base   = settings.Layer{Name: "base", Target: "*", Data: "role: none\nport: 80"}
	debian = settings.Layer{Name: "debian", Order: 10, Target: "G@os:Debian", Data: "role: deb"}
	web1   = settings.Layer{Name: "web-1", Order: 20, Target: "web-1", Data: "port: 81"}
)

func TestSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.set(base, debian, web1)
	b.put("web-1", "Debian")
	b.put("web-2", "Debian")
	b.put("db-1", "Alpine")
	b.x.Put("new", nil)
	b.Touch("new")
	first := b.want("web-1", `{"port":81,"role":"deb"}`)
	b.want("web-2", `{"port":80,"role":"deb"}`)
	b.want("db-1", `{"port":80,"role":"none"}`)
	b.want("new", `{"port":80,"role":"none"}`)
	b.want("just-enrolled", `{"port":80,"role":"none"}`)
	if got := b.drained(); len(got) != 0 {
		t.Errorf("at the first time %v are told", got)
	}
	if c, err := b.get("web-1", settings.Request{Have: first.Revision}); err != nil || c.Values != nil || c.Revision != first.Revision {
		t.Errorf("who has them gets %+v %v", c, err)
	}

	b.put("db-1", "Debian") // and nobody settles
	b.want("db-1", `{"port":80,"role":"deb"}`)
	b.src.set(base, web1)
	b.settle()
	if diff := cmp.Diff([]string{"db-1", "web-1", "web-2"}, b.drained()); diff != "" {
		t.Errorf("told of new settings (-want +got):\n%s", diff)
	}
	b.want("web-1", `{"port":81,"role":"none"}`)
	b.src.set(web1, base) // the order of the source counts
	b.want("web-1", `{"port":81,"role":"none"}`)
	b.settle()
	b.want("web-1", `{"port":80,"role":"none"}`)
	b.x.Remove("web-2")
	b.Touch("web-2")
	b.settle()
	if changed, everybody, at := b.Drain(); everybody || at != 3 || len(changed) != 1 {
		t.Errorf("%v, everybody %v, at %d", changed, everybody, at)
	}
	b.src.set()
	b.settle()
	if changed, everybody, _ := b.Drain(); !everybody || len(changed) != 3 {
		t.Errorf("%v, everybody %v", changed, everybody)
	}
}

// A question that names a state is answered from that state or a later one.
func TestNewerState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.set(base)
	b.put("web-1", "")
	b.want("web-1", `{"port":80,"role":"none"}`)
	b.src.set(base, web1)
	b.want("web-1", `{"port":80,"role":"none"}`) // nobody has told it yet
	if c, err := b.get("web-1", settings.Request{At: 2}); err != nil || string(c.Values) != `{"port":81,"role":"none"}` || c.At != 2 {
		t.Errorf("%s %v", c.Values, err)
	}
	if _, err := b.get("web-1", settings.Request{At: 9}); err == nil || errors.Is(err, bus.ErrRefused) {
		t.Errorf("a state that is not there yet: %v", err)
	}
	if _, err := b.Answer(t.Context(), "web-1", []byte(`{"at":"x"}`), echo); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("nonsense: %v", err)
	}
}

// An answer is signed for the peel, the question, the state and the values,
// which a peel has already when they do not travel. A peel of before answers
// were signed asks without a nonce and is answered as it was.
func TestAnswersAreSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.set(base)
	b.put("web-1", "")
	first := b.want("web-1", `{"port":80,"role":"none"}`)
	if first.Proof != nil {
		t.Errorf("without a nonce the proof is %q", first.Proof)
	}
	for _, req := range []settings.Request{{Nonce: "once"}, {Nonce: "twice", Have: first.Revision}} {
		c, err := b.get("web-1", req)
		if want := settings.Said("web-1", req.Nonce, c.At, first.Values); err != nil || string(c.Proof) != string(want) {
			t.Errorf("%+v: signed is %q %v, want %q", req, c.Proof, err, want)
		}
	}
	none := func([]byte) ([]byte, error) { return nil, errors.New("no key") }
	if _, err := b.Answer(t.Context(), "web-1", []byte(`{"nonce":"x"}`), none); err == nil || errors.Is(err, bus.ErrRefused) {
		t.Errorf("a master that cannot sign just now: %v", err)
	}
}

// What cannot be read leaves everything as it was.
func TestBadState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.set(base)
	b.put("web-1", "")
	b.want("web-1", `{"port":80,"role":"none"}`)
	for name, bad := range map[string]settings.Layer{"target": {Name: "x", Target: "N@gone"}, "data": {Name: "x", Target: "*", Data: "- x"}, "setting": {Name: "x", Target: "I@a:b"}} {
		b.src.set(bad, base)
		if err := b.Settle(t.Context()); err == nil {
			t.Errorf("%s: it settles", name)
		}
		b.want("web-1", `{"port":80,"role":"none"}`)
	}
	b.src.err = errors.New("no database")
	if err := b.Settle(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("without a database: %v", err)
	}
	b.want("web-1", `{"port":80,"role":"none"}`)
	b.src.err = nil
	b.src.set(base, web1)
	b.settle()
	b.want("web-1", `{"port":81,"role":"none"}`)
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var layers []settings.Layer
	for n := range 4 {
		layers = append(layers, settings.Layer{Name: fmt.Sprint(n), Target: "web-*", Data: fmt.Sprintf("k%d: x%0200000d", n, 0)})
	}
	b.src.set(layers...)
	b.put("web-1", "")
	b.put("db-1", "")
	if _, err := b.get("web-1", settings.Request{}); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("too large: %v", err)
	}
	if _, err := b.Show(t.Context(), "web-1"); !errs.Is(err, errs.TooLarge) {
		t.Errorf("shown: %v", err)
	}
	b.want("db-1", `{}`)
}

// Settings choose peels, and index and compiler do not wait for one another.
func TestTargets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.set(base, debian, settings.Layer{Name: "list", Target: "db-*", Data: "roles: [db, cache]"})
	for n := range 3000 {
		b.put(fleet.PeelID(fmt.Sprintf("web-%04d", n)), []string{"Debian", "Alpine"}[n%2])
	}
	b.put("db-1", "Debian")
	b.settle()
	for text, want := range map[string]int{"I@role:deb": 1501, "I@role!=deb": 1500, "not I@role:deb": 1500, "I@port>79": 3001, "I@roles:cache": 1, "I@roles.0:cache": 0, "I@none:*": 0, "web-* and I@role:d*": 1500} {
		expr, err := target.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, n, err := b.x.Query(t.Context(), expr, "", 0); err != nil || n != want {
			t.Errorf("%s means %d %v, want %d", text, n, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	expr, _ := target.Parse("I@role:deb or web-0*")
	for range 4 {
		wg.Go(func() {
			for n := range 50 {
				b.put(fleet.PeelID(fmt.Sprintf("web-%04d", n)), "Debian")
				if _, _, err := b.x.Query(ctx, expr, "", 1); err != nil {
					t.Error(err)
				}
				if err := b.Settle(ctx); err != nil {
					t.Error(err)
				}
				if n%10 == 0 {
					b.src.set(base, debian)
				}
			}
		})
	}
	wg.Wait()
	b.settle()
	b.want("web-0001", `{"port":80,"role":"deb"}`)
}

func TestShow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.set(base, debian, web1)
	b.put("web-1", "Debian")
	e, err := b.Show(t.Context(), "web-1")
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Effective{Peel: "web-1", Revision: e.Revision, Layers: []string{"base", "debian", "web-1"}, Values: json.RawMessage(`{"port":81,"role":"deb"}`),
		Origins: []settings.Origin{{Key: "port", Value: json.RawMessage("81"), Layer: "web-1"}, {Key: "role", Value: json.RawMessage(`"deb"`), Layer: "debian"}}}
	if diff := cmp.Diff(want, e); diff != "" || e.Revision == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
