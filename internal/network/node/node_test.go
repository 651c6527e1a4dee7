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
	n, err := New(cfg, Deps{DB: db, Version: "v1"})
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

func nodes(t *testing.T, n *Node) []Info {
	t.Helper()
	list, err := n.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestHeartbeat(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		cfg := DefaultConfig()
		cfg.Heartbeat = 50 * time.Millisecond
		one, two := newNode(t, db, cfg), newNode(t, db, cfg)
		start(t, one)
		start(t, two)
		before := nodes(t, one)
		if len(before) != 2 || !before[0].Alive || before[0].ID != one.ID() || before[1].ID != two.ID() || before[0].Version != "v1" {
			t.Fatalf("the nodes are %+v", before)
		}
		if off := time.Since(before[0].Seen).Abs(); off > 5*time.Second {
			t.Errorf("the database's clock is %s off", off)
		}
		eventually(t, "a further heartbeat", func() bool { return nodes(t, two)[0].Seen.After(before[0].Seen) })
		if err := one.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := one.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list := nodes(t, two); len(list) != 1 || list[0].ID != two.ID() {
			t.Errorf("after a stop the nodes are %+v", list)
		}
		two.cancel() // dies without a word
		two.working.Wait()
		eventually(t, "the dead node shows", func() bool { return !nodes(t, one)[0].Alive })
		if err := one.Stop(t.Context()); err != nil {
			t.Errorf("the second stop gives %v", err)
		}
	})
}

func TestLease(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		one, two := newNode(t, db, DefaultConfig()), newNode(t, db, DefaultConfig())
		take := func(n *Node, term time.Duration) (int64, bool) {
			t.Helper()
			epoch, ok, err := n.acquire(t.Context(), "x", term)
			if err != nil {
				t.Fatal(err)
			}
			return epoch, ok
		}
		for range 2 { // taken, and renewed
			if epoch, ok := take(one, time.Hour); !ok || epoch != 1 {
				t.Fatalf("the first holder has %v, epoch %d", ok, epoch)
			}
		}
		if _, ok := take(two, time.Hour); ok {
			t.Fatal("the lease has two holders")
		}
		take(one, -time.Second) // it has run out
		if epoch, ok := take(two, time.Hour); !ok || epoch != 2 {
			t.Fatalf("the second holder has %v, epoch %d", ok, epoch)
		}
		if _, ok := take(one, time.Hour); ok {
			t.Fatal("the first holder has it back")
		}
	})
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
