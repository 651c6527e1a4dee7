package node

import (
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
// add: each partition is trimmed and indexed once. One whose table is gone is
// dead in the end, is shown with its error, and is done when its table is back
// and somebody has it retried.
func TestTasksOfThreeNodes(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const days = 4
		cfg := DefaultConfig()
		cfg.Sweep, cfg.Heartbeat, cfg.Partitions = 50*time.Millisecond, 100*time.Millisecond, store.Daily
		now := time.Now()
		n := newNode(t, db, cfg)
		for _, tap := range []string{"a", "b"} {
			if _, err := n.Ingest().AddTap(t.Context(), tap, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.Ingest().GiveTap(t.Context(), "b", "acme"); err != nil {
			t.Fatal(err)
		}
		for i := range days { // partitions as they were made on those days
			at := now.Add(-time.Duration(days-i) * 24 * time.Hour)
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
		cfg.Retention.Tenants = []store.Tenant{{Tenant: "acme", Kinds: []store.Keep{{Kind: store.KindFlows, Keep: time.Hour}}}}
		unindexed, err := n.Store().Unindexed(t.Context())
		if err != nil || len(unindexed) < days {
			t.Fatal(unindexed, err)
		}
		var broken string
		for _, name := range unindexed {
			if n.Store().TableOf(name) == "dns_queries" {
				broken = name
			}
		}
		rename(t, db, broken, broken+"_away")

		var registries []*prometheus.Registry
		var nodes []*Node
		for range 3 {
			r := prometheus.NewRegistry()
			one, err := New(cfg, Deps{DB: db, Version: "v1", Roles: []string{"node"}, Metrics: r})
			if err != nil {
				t.Fatal(err)
			}
			start(t, one)
			registries, nodes = append(registries, r), append(nodes, one)
		}
		defer func() {
			for _, one := range nodes {
				if err := one.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}()
		task := func() (task cluster.Task) {
			all, err := nodes[0].Cluster().Tasks(t.Context(), 100)
			if err == nil && len(all) == 1 {
				task = all[0]
			}
			return task
		}
		eventually(t, "all but one task are done, which failed", func() bool {
			x := task()
			return x.Subject == broken && x.State == cluster.TaskWaiting && x.Error != ""
		})
		if done := ended(t, registries, indexTask, "done"); done != len(unindexed)-1 {
			t.Errorf("%d partitions were indexed, of %d", done, len(unindexed)-1)
		}
		eventually(t, "the rows of acme go", func() bool { return flowsOf(t, db, "b") < days*10 && task().Subject == broken })
		trimmed := ended(t, registries, trimTask, "done")
		if left := flowsOf(t, db, "b"); trimmed == 0 || int64(trimmed) != (days*10-left)/10 || flowsOf(t, db, "a") != days*10 {
			t.Errorf("%d partitions were trimmed, %d flows of acme are left, and %d of the others", trimmed, left, flowsOf(t, db, "a"))
		}

		if _, err := db.Exec(t.Context(), `UPDATE tasks SET attempts = $1, next_us = 0`, int64(cluster.MaxAttempts-1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is dead", func() bool { return task().State == cluster.TaskDead })
		if status, err := nodes[1].Status(t.Context()); err != nil || status.Tasks.Dead != 1 || task().Error == "" {
			t.Errorf("%+v is shown: %v", status.Tasks, err)
		}
		rename(t, db, broken+"_away", broken)
		if err := nodes[2].Cluster().Retry(t.Context(), task().ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is done", func() bool {
			left, err := n.Store().Unindexed(t.Context())
			return err == nil && len(left) == 0 && task().ID == ""
		})
		if done, dead := ended(t, registries, indexTask, "done"), ended(t, registries, indexTask, "dead"); done != len(unindexed) || dead != 1 {
			t.Errorf("%d of %d partitions were indexed, %d died", done, len(unindexed), dead)
		}
		if again := ended(t, registries, trimTask, "done"); again != trimmed {
			t.Errorf("%d partitions were trimmed again", again-trimmed)
		}
	})
}

// rename takes a partition's table away, or brings it back.
func rename(t *testing.T, db *database.DB, from, to string) {
	t.Helper()
	if db.Engine() == database.SQLite { // views name the table: they are left as they are
		if _, err := db.Exec(t.Context(), "PRAGMA legacy_alter_table = ON"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
		t.Fatal(err)
	}
}

func flowsOf(t *testing.T, db *database.DB, tap string) (n int64) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM flows WHERE tap = $1", tap).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
