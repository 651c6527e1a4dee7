package node

import (
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

func each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Parallel()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		fn(t, db)
	})
}

func newNode(t *testing.T, db *database.DB, cfg Config) *Node {
	t.Helper()
	n, err := New(cfg, Deps{DB: db, Version: "v1", Roles: []string{"node"}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func start(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within ten seconds", what)
		}
	}
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		cfg := DefaultConfig()
		cfg.Sweep = 20 * time.Millisecond
		n := newNode(t, db, cfg)
		if _, err := n.Ingest().AddTap(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
		for i, age := range []time.Duration{time.Hour, 40 * 24 * time.Hour} {
			r := reporttest.New(uint64(i), network.Identity{Tap: "a", Boot: reporttest.Boot(1), Sequence: uint64(i + 1)}, time.Now().Add(-age), reporttest.Size{Flows: 10})
			if _, err := n.Ingest().Commit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		all := store.FlowQuery{From: time.Now().AddDate(-1, 0, 0)}
		count := func() int {
			flows, err := n.Store().Flows(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			return len(flows)
		}
		if got := count(); got != 20 {
			t.Fatalf("%d flows", got)
		}
		start(t, n)
		eventually(t, "the old flows go", func() bool { return count() == 10 })
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCheckSaysThatTheDatabaseIsGone(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db, DefaultConfig())
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := n.Check(t.Context()); err == nil {
			t.Error("the node says that it is ready")
		}
		if err := n.Start(t.Context()); err == nil {
			t.Error("the node starts")
		}
	})
}
