package master_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/peel"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/settings/layer"
	"github.com/rind-project/rind/internal/fleet/target"
	"github.com/rind-project/rind/internal/fleet/target/group"
)

// configured is a master with its stores on a database.
type configured struct {
	*master.Master
	layers *layer.Store
	groups *group.Store
}

func newDatabase(t *testing.T, e database.Engine) *database.DB {
	t.Helper()
	return databasetest.Open(t, e, slices.Concat(group.Migrations(), layer.Migrations()))
}

func (w *world) configured(name string, db *database.DB) *configured {
	w.t.Helper()
	c := &configured{}
	changed := func() { c.SettingsChanged() }
	c.groups = group.New(group.Deps{DB: db, Now: time.Now, Changed: changed, Check: func(ctx context.Context, g target.Groups) error { return c.layers.Check(ctx, g) }})
	c.layers = layer.New(layer.Deps{DB: db, Groups: c.groups, Now: time.Now, Changed: changed})
	compiler, err := compile.New(compile.Deps{Source: c.layers, Log: fleettest.Log()})
	if err != nil {
		w.t.Fatal(err)
	}
	c.Master = w.with(name, func(d *master.Deps) { d.Group, d.Settings = c.groups.Find, compiler })
	return c
}

func (c *configured) set(t *testing.T, name string, order int, target, data string) {
	t.Helper()
	if _, err := c.layers.Set(t.Context(), settings.Layer{Name: name, Order: order, Target: target, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// host starts a peel that asks for its settings soon.
func (w *world) host(c *fleettest.Credentials, dir string) *peel.Peel {
	w.t.Helper()
	p := peel.New(peel.Config{StateDir: dir, ReconnectWait: 100 * time.Millisecond, Settings: peel.SettingsConfig{Jitter: 50 * time.Millisecond}},
		peel.Deps{Log: fleettest.Log(), Credentials: c, Version: "test"})
	if err := p.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(w.t, p) })
	return p
}

// has waits until the file of a peel holds settings.
func has(t *testing.T, dir, want string) {
	t.Helper()
	fleettest.Eventually(t, "the settings "+want+" reach the host", func() error {
		file := filepath.Join(dir, "settings.json")
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		c, err := settings.ParseCompiled(data)
		if err != nil {
			return err
		}
		if string(c.Values) != want {
			return fmt.Errorf("it has %s", c.Values)
		}
		info, err := os.Stat(file)
		if err == nil && info.Mode().Perm() != 0o600 {
			err = fmt.Errorf("its mode is %v", info.Mode())
		}
		return err
	})
}

// TestSettingsReachPeels: a change of a layer, of a group and of facts reaches
// who is meant, whoever of the masters made it, and nobody else's settings.
func TestSettingsReachPeels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	where := databasetest.URL(t, database.SQLite)
	db := databasetest.Reopen(t, database.SQLite, where)
	if err := database.Migrate(t.Context(), db, slices.Concat(group.Migrations(), layer.Migrations())); err != nil {
		t.Fatal(err)
	}
	a, b := w.configured("one", db), w.configured("two", databasetest.Reopen(t, database.SQLite, where))
	web, other := t.TempDir(), t.TempDir()
	a.set(t, "base", 0, "*", "role: none\nport: 80")
	w.host(w.Enroll("web-1"), web)
	w.host(w.Enroll("db-1"), other)
	has(t, web, `{"port":80,"role":"none"}`)
	has(t, other, `{"port":80,"role":"none"}`)
	// By notices alone: the next question by itself is an hour away.
	a.set(t, "web", 10, "web-*", "role: web")
	has(t, web, `{"port":80,"role":"web"}`)
	b.set(t, "base", 0, "*", "role: none\nport: 8080")
	has(t, web, `{"port":8080,"role":"web"}`)
	has(t, other, `{"port":8080,"role":"none"}`)
	if _, err := a.groups.Set(t.Context(), "some", "nobody", "anna"); err != nil {
		t.Fatal(err)
	}
	b.set(t, "some", 20, "N@some and G@kernel_name:Linux", "extra: [1, 2]")
	if _, err := a.groups.Set(t.Context(), "some", "db-*", "anna"); err != nil {
		t.Fatal(err)
	}
	has(t, other, `{"extra":[1,2],"port":8080,"role":"none"}`)
	has(t, web, `{"port":8080,"role":"web"}`)
	if err := b.layers.Delete(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	has(t, web, `{"port":8080,"role":"none"}`)
}

// TestSettingsOfAPeelThatWasAway: it gets what has changed meanwhile, and has
// what it had while the bus is away.
func TestSettingsOfAPeelThatWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fleettest.Again(t))
	m := w.configured("one", newDatabase(t, database.SQLite))
	dir, c := t.TempDir(), w.Enroll("web-1")
	m.set(t, "base", 0, "*", "role: none")
	p := w.host(c, dir)
	has(t, dir, `{"role":"none"}`)
	stop(t, p)
	m.set(t, "base", 0, "*", "role: web")
	w.host(c, dir)
	has(t, dir, `{"role":"web"}`)
}

// TestSettingsFunctions asks a host by jobs, and chooses hosts by settings.
func TestSettingsFunctions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.configured("one", newDatabase(t, database.SQLite))
	m.set(t, "base", 0, "*", "web: {port: 80, names: [a, b]}\nbig: 9007199254740993")
	m.set(t, "web", 0, "web-*", "role: web")
	dir := t.TempDir()
	w.host(w.Enroll("web-1"), dir)
	w.host(w.Enroll("db-1"), "")
	fleettest.Eventually(t, "all connect", online(m.Master, 2))
	has(t, dir, `{"big":9007199254740993,"role":"web","web":{"names":["a","b"],"port":80}}`)
	for _, tt := range []struct {
		function string
		args     []string
		ok       bool
		has      string
	}{
		{"settings.items", nil, true, `{"big":9007199254740993,"role":"web","web":{"names":["a","b"],"port":80}}`},
		{"settings.get", []string{"web.port"}, true, `80`},
		{"pillar.get", []string{"web:names:1"}, true, `"b"`},
		{"settings.get", []string{"web.prt", "8080"}, true, `"8080"`},
		{"settings.get", []string{"web.prt"}, false, `did you mean web.port?`},
		{"settings.refresh", nil, true, `"changed":false`},
	} {
		_, returns := finish(t, m.Master, fleet.JobRequest{Target: "I@role:web", Function: tt.function, Args: tt.args})
		r := returns["web-1"]
		if len(returns) != 1 || r.OK != tt.ok || !strings.Contains(string(r.Value)+r.Error, tt.has) {
			t.Errorf("%s %v: %d returns, ok %v, %s %s", tt.function, tt.args, len(returns), r.OK, r.Value, r.Error)
		}
	}
	m.set(t, "db", 0, "db-*", "role: db") // and at once:
	peels, err := m.Peels(t.Context(), master.PeelQuery{Match: "I@role:*b and not I@web.port>80"})
	if err != nil || len(peels) != 2 {
		t.Errorf("%v %v", peels, err)
	}
	test, err := m.TestTarget(t.Context(), master.PeelQuery{Match: "I@role:db"})
	if err != nil || test.Matched != 1 || test.Matches[0].Reasons[0].Values[0] != "db" {
		t.Errorf("%+v %v", test, err)
	}
	show, err := m.Settings(t.Context(), "db-1")
	if err != nil || !strings.Contains(string(show.Values), `"role":"db"`) || len(show.Layers) != 2 {
		t.Errorf("%+v %v", show, err)
	}
	if _, err := m.Settings(t.Context(), "nobody"); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

// TestSettingsAreOnesOwn: a peel is answered about itself, whatever it asks.
func TestSettingsAreOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.configured("one", newDatabase(t, database.SQLite))
	m.set(t, "b", 0, "peel-b", "password: hunter2")
	m.set(t, "a", 0, "peel-a", "mine: true")
	w.Enroll("peel-b")
	nc := w.Peel("peel-a").NC
	for _, data := range []string{"", `{}`, `{"peel":"peel-b","id":"peel-b"}`} {
		answer, err := fleettest.Ask(t.Context(), nc, bus.AskSubject("peel-a", settings.AskGet), []byte(data), 10*time.Second)
		var c settings.Compiled
		if err != nil || json.Unmarshal(answer, &c) != nil || string(c.Values) != `{"mine":true}` {
			t.Errorf("%s: %s %v", data, answer, err)
		}
	}
	// The broker does not let it speak as another, nor hear what is for another.
	if answer, err := fleettest.Ask(t.Context(), nc, bus.AskSubject("peel-b", settings.AskGet), nil, time.Second); err == nil {
		t.Errorf("peel-a asked as peel-b: %s", answer)
	}
	sub, err := nc.SubscribeSync(bus.NoticeSubject("peel-b"))
	if err != nil {
		t.Fatal(err)
	}
	// Nor is an answer sent anywhere but into its own inbox.
	stolen, err := nc.SubscribeSync(bus.NoticeSubject("peel-a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest(bus.AskSubject("peel-a", settings.AskGet), bus.NoticeSubject("peel-a"), nil); err != nil {
		t.Fatal(err)
	}
	m.set(t, "b", 0, "peel-b", "password: changed")
	for _, s := range []*nats.Subscription{sub, stolen} {
		if msg, err := s.NextMsg(500 * time.Millisecond); err == nil || !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v %v", s.Subject, msg, err)
		}
	}
}
