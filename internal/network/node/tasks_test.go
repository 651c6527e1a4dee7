package node

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/node/cluster"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// ended sums over nodes how many tasks of a kind ended in a way.
func ended(t *testing.T, all []*prometheus.Registry, kind, how string) (n int) {
	t.Helper()
	for _, r := range all {
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				values := map[string]bool{}
				for _, l := range m.GetLabel() {
					values[l.GetValue()] = true
				}
				if values[kind] && values[how] && m.GetCounter() != nil {
					n += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}

// TestTasksOfThreeNodes has three nodes share what the holders of the leases
// add: each partition is trimmed once, and indexed. A trim that the database
// refuses is dead in the end, is shown with its error, and is done when somebody
// has it tried again after the cause is gone.
func TestTasksOfThreeNodes(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const days = 4
		cfg := DefaultConfig()
		cfg.Sweep, cfg.Heartbeat, cfg.Partitions = 50*time.Millisecond, 100*time.Millisecond, store.Daily
		cfg.Retention.Tenants = []store.Tenant{{Tenant: "acme", Kinds: []store.Keep{{Kind: store.KindFlows, Keep: time.Hour}}}}
		broken := oldDays(t, db, cfg, days)
		before := indexed(t, db)
		allow := forbidDeletes(t, db, broken)

		registries, nodes := threeNodes(t, db, cfg)
		task := func() (task cluster.Task) {
			all, err := nodes[0].Cluster().Tasks(t.Context(), 100)
			if err == nil && len(all) == 1 {
				task = all[0]
			}
			return task
		}
		done := func(kind string) int { return ended(t, registries, kind, "done") }
		within(t, "all but one task are done, which failed", func() bool {
			x := task()
			return x.Kind == trimTask && x.Subject == broken+" acme" && x.State == cluster.TaskWaiting && x.Error != "" &&
				done(trimTask) == days-1 && done(indexTask) > 0 && done(indexTask) >= indexed(t, db)-before
		})
		if acme, others := flowsOf(t, db, "b"), flowsOf(t, db, "a"); acme != 10 || others != days*10 {
			t.Errorf("%d flows of acme are left, and %d of the others", acme, others)
		}

		if _, err := db.Exec(t.Context(), `UPDATE tasks SET attempts = $1, next_us = 0`, int64(cluster.MaxAttempts-1)); err != nil {
			t.Fatal(err)
		}
		within(t, "it is dead", func() bool { return task().State == cluster.TaskDead })
		if status, err := nodes[1].Status(t.Context()); err != nil || status.Tasks.Dead != 1 || !strings.Contains(task().Error, "not today") {
			t.Errorf("%+v is shown, and %q: %v", status.Tasks, task().Error, err)
		}
		allow()
		time.Sleep(3 * cfg.Sweep) // the dead are left to a person, though they are asked for again
		if task().State != cluster.TaskDead {
			t.Errorf("it is %+v before somebody had it tried again", task())
		}
		if err := nodes[2].Cluster().Retry(t.Context(), task().ID); err != nil {
			t.Fatal(err)
		}
		within(t, "it is done", func() bool { return flowsOf(t, db, "b") == 0 && done(trimTask) == days })
		time.Sleep(3 * cfg.Sweep)
		if trims, indexes, want, dead := done(trimTask), done(indexTask), indexed(t, db)-before, ended(t, registries, trimTask, "dead"); trims != days || indexes < want || dead != 1 {
			t.Errorf("%d of %d partitions were trimmed and %d of %d indexed, %d died", trims, days, indexes, want, dead)
		}
	})
}

// TestTaskThatEndsWhileItIsAskedFor is not added a second time: what was found
// to want one is what it has done since.
func TestTaskThatEndsWhileItIsAskedFor(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db, DefaultConfig())
		subjects := func() (out []string) {
			all, err := n.Cluster().Tasks(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range all {
				out = append(out, task.Subject)
			}
			slices.Sort(out)
			return out
		}
		ask := func(find func() ([]string, error)) {
			t.Helper()
			if err := n.ask(t.Context(), "test", find); err != nil {
				t.Fatal(err)
			}
		}
		ask(func() ([]string, error) { return []string{"a", "b"}, nil })
		if got := subjects(); !slices.Equal(got, []string{"a", "b"}) {
			t.Fatalf("there are %q", got)
		}
		ask(func() ([]string, error) {
			_, err := db.Exec(t.Context(), `DELETE FROM tasks WHERE subject = 'a'`) // another node ends it
			return []string{"a", "b", "c"}, err
		})
		if got := subjects(); !slices.Equal(got, []string{"b", "c"}) {
			t.Errorf("there are %q", got)
		}
		ask(func() ([]string, error) { return []string{"a"}, nil }) // there is something to do again
		if got := subjects(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("there are %q", got)
		}
	})
}

// oldDays puts reports of taps of two tenants on whole days that are over, into
// the partitions that were made then. It returns the oldest of flows.
func oldDays(t *testing.T, db *database.DB, cfg Config, days int) (oldest string) {
	t.Helper()
	n := newNode(t, db, cfg)
	for _, tap := range []string{"a", "b"} {
		if _, err := n.Ingest().AddTap(t.Context(), tap, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Ingest().GiveTap(t.Context(), "b", "acme"); err != nil {
		t.Fatal(err)
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range days {
		at := today.AddDate(0, 0, i-days-1).Add(12 * time.Hour)
		then := store.New(db, func() time.Time { return at }).Keeping(cfg.Retention).Partitioned(store.Daily)
		if _, err := then.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		for j, tap := range []network.TapID{"a", "b"} {
			r := reporttest.New(uint64(i), network.Identity{Tap: tap, Boot: reporttest.Boot(uint64(j)), Sequence: uint64(i + 1)}, at, reporttest.Size{Flows: 10})
			if _, err := n.Ingest().Commit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	return "flows_p" + today.AddDate(0, 0, -days-1).Format("20060102")
}

// threeNodes starts three nodes, and stops them when the test ends.
func threeNodes(t *testing.T, db *database.DB, cfg Config) (all []*prometheus.Registry, nodes []*Node) {
	t.Helper()
	for range 3 {
		r := prometheus.NewRegistry()
		n, err := New(cfg, Deps{DB: db, Version: "v1", Roles: []string{"node"}, Metrics: r})
		if err != nil {
			t.Fatal(err)
		}
		start(t, n)
		t.Cleanup(func() {
			if err := n.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		all, nodes = append(all, r), append(nodes, n)
	}
	return all, nodes
}

// forbidDeletes has the database refuse that rows are deleted from a table.
func forbidDeletes(t *testing.T, db *database.DB, table string) (allow func()) {
	t.Helper()
	run := func(statements ...string) {
		t.Helper()
		for _, text := range statements {
			if _, err := db.Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if db.Engine() == database.SQLite {
		run("CREATE TRIGGER forbid BEFORE DELETE ON " + table + " BEGIN SELECT RAISE(ABORT, 'not today'); END")
		return func() { t.Helper(); run("DROP TRIGGER forbid") }
	}
	run("CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$",
		"CREATE TRIGGER forbid BEFORE DELETE ON "+table+" FOR EACH ROW EXECUTE FUNCTION forbid()")
	return func() { t.Helper(); run("DROP TRIGGER forbid ON " + table) }
}

// within polls for up to a minute: there are many partitions.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// indexed is how many partitions have all their indexes.
func indexed(t *testing.T, db *database.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM partitions WHERE indexed = 1").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func flowsOf(t *testing.T, db *database.DB, tap string) (n int64) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM flows WHERE tap = $1", tap).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
