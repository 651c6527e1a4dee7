package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
)

func each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Parallel()
	ms := append(Migrations(), database.Migration{Name: "test/0001_work", SQL: "CREATE TABLE work (node TEXT NOT NULL, period_us BIGINT NOT NULL);\n"})
	databasetest.Each(t, ms, func(t *testing.T, db *database.DB) {
		t.Parallel()
		fn(t, db)
	})
}

var quick = Config{Heartbeat: 100 * time.Millisecond, Term: 3 * time.Second, TaskTerm: 3 * time.Second}

func member(t *testing.T, db *database.DB, cfg Config) *Member {
	t.Helper()
	m := New(cfg, Deps{DB: db, Version: "v1", Roles: []string{"node"}, Address: func() string { return "https://a:1" }, Load: func() Load { return Load{Requests: 7} }})
	t.Cleanup(func() { _ = m.Stop(context.Background()) })
	return m
}

func start(t *testing.T, m *Member) {
	t.Helper()
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within thirty seconds", what)
		}
	}
}

func list(t *testing.T, m *Member) []Info {
	t.Helper()
	all, err := m.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHeartbeat(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		one, two := member(t, db, quick), member(t, db, quick)
		start(t, one)
		start(t, two)
		before := list(t, one)
		if len(before) != 2 || !before[0].Alive || before[0].ID != one.ID() || before[1].ID != two.ID() {
			t.Fatalf("the members are %+v", before)
		}
		if i := before[0]; i.Version != "v1" || i.Address != "https://a:1" || !slices.Equal(i.Roles, []string{"node"}) || i.Load.Requests != 7 {
			t.Errorf("the first is %+v", i)
		}
		if off := time.Since(before[0].Seen).Abs(); off > 5*time.Second {
			t.Errorf("the database's clock is %s off", off)
		}
		eventually(t, "a further heartbeat", func() bool { return list(t, two)[0].Seen.After(before[0].Seen) })
		if err := one.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := one.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := list(t, two); len(all) != 1 || all[0].ID != two.ID() {
			t.Errorf("after a stop the members are %+v", all)
		}
		two.cancel() // dies without a word
		two.working.Wait()
		eventually(t, "the dead one shows", func() bool { return !list(t, one)[0].Alive })
		if err := one.Stop(t.Context()); err != nil {
			t.Errorf("the second stop gives %v", err)
		}
	})
}

// expire ends the term of a lease as the database sees it.
func expire(t *testing.T, db *database.DB, name string) {
	t.Helper()
	if _, err := db.Exec(t.Context(), `UPDATE leases SET until_us = 1 WHERE name = $1`, name); err != nil {
		t.Fatal(err)
	}
}

func TestLeaseAndFence(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		cfg := Config{Term: time.Hour}
		one, two := member(t, db, cfg), member(t, db, cfg)
		take := func(m *Member, epoch int64) *Lease {
			t.Helper()
			l, ok, err := m.acquire(t.Context(), "x", epoch)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return nil
			}
			return l
		}
		write := func(m *Member, l *Lease) error {
			return m.Fenced(t.Context(), l, func(tx *database.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO work (node, period_us) VALUES ($1, 0)`, m.ID())
				return err
			})
		}
		first := take(one, 0)
		if again := take(one, first.Epoch); again == nil || again.Epoch != first.Epoch || first.Epoch != 1 {
			t.Fatalf("renewed as %+v", again)
		}
		if take(two, 0) != nil {
			t.Fatal("the lease has two holders")
		}
		if err := write(one, first); err != nil {
			t.Fatal(err)
		}
		expire(t, db, "x")
		if err := write(one, first); err != nil { // nobody has it: it may still be used
			t.Fatal(err)
		}
		second := take(two, 0)
		if second == nil || second.Epoch != 2 {
			t.Fatalf("the second holder has %+v", second)
		}
		if err := write(one, first); !errors.Is(err, ErrSuperseded) {
			t.Errorf("the superseded holder writes: %v", err)
		}
		if err := write(two, second); err != nil {
			t.Error(err)
		}
		var n int
		if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM work`).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d rows, %v; want 3", n, err)
		}
		held, err := one.Leases(t.Context())
		if err != nil || len(held) != 1 || held[0].Holder != two.ID() || !held[0].Held || held[0].Epoch != 2 {
			t.Errorf("the leases are %+v, %v", held, err)
		}
	})
}

// TestTakerWaitsForTheWriter: who takes a lease over does so after the
// transaction that the last holder has under way, and the renewal of that
// holder does not wait for its own transaction.
func TestTakerWaitsForTheWriter(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.PostgreSQL, Migrations())
	one, two := member(t, db, Config{Term: time.Minute}), member(t, db, Config{Term: time.Minute})
	l, _, err := one.acquire(t.Context(), "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	inside, leave, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var ended atomic.Bool
	go func() {
		written <- one.Fenced(t.Context(), l, func(*database.Tx) error {
			close(inside)
			<-leave
			ended.Store(true)
			return nil
		})
	}()
	<-inside
	if again, ok, err := one.acquire(t.Context(), "x", l.Epoch); err != nil || !ok || again.Epoch != l.Epoch {
		t.Fatalf("renewing beside a transaction: %v %v", ok, err)
	}
	expire(t, db, "x")
	took := make(chan bool, 1)
	go func() {
		_, ok, err := two.acquire(t.Context(), "x", 0)
		took <- ok && err == nil && ended.Load()
	}()
	eventually(t, "the taker waits", func() bool {
		var n int
		err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO fences%' AND datname = current_database()`).Scan(&n)
		return err == nil && n > 0
	})
	close(leave)
	if err := <-written; err != nil {
		t.Errorf("the holder's transaction: %v", err)
	}
	if !<-took {
		t.Error("the taker did not come after it")
	}
	if err := one.Fenced(t.Context(), l, func(*database.Tx) error { return nil }); !errors.Is(err, ErrSuperseded) {
		t.Errorf("the next transaction of the last holder: %v", err)
	}
}

// TestLostLeaseStopsTheWork cuts a holder off from the database: its work has
// ended when the next holder's begins.
func TestLostLeaseStopsTheWork(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			where := databasetest.URL(t, e)
			cut, db := databasetest.Reopen(t, e, where), databasetest.Reopen(t, e, where)
			if err := database.Migrate(t.Context(), db, Migrations()); err != nil {
				t.Fatal(err)
			}
			cfg := Config{Term: 5 * time.Second}
			one, two := New(cfg, Deps{DB: cut}), New(cfg, Deps{DB: db})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			began, stopped, next := make(chan struct{}), make(chan time.Time, 1), make(chan time.Time, 1)
			var done sync.WaitGroup
			done.Go(func() {
				one.Hold(ctx, "x", func(ctx context.Context, _ *Lease) {
					close(began)
					<-ctx.Done()
					stopped <- time.Now()
				})
			})
			<-began
			if !slices.Equal(one.Held(), []string{"x"}) {
				t.Errorf("held: %v", one.Held())
			}
			done.Go(func() {
				two.Hold(ctx, "x", func(ctx context.Context, l *Lease) {
					next <- time.Now()
					if l.Epoch != 2 {
						t.Errorf("the next epoch is %d", l.Epoch)
					}
					<-ctx.Done()
				})
			})
			if err := cut.Close(); err != nil {
				t.Fatal(err)
			}
			if end, begin := <-stopped, <-next; begin.Before(end) {
				t.Errorf("the next holder works %s before the last one has stopped", end.Sub(begin))
			}
			if len(one.Held()) != 0 {
				t.Errorf("still held: %v", one.Held())
			}
			cancel()
			done.Wait()
		})
	}
}

// TestPeriodicRunsOnce has three members compete, with terms that end and
// holders that drain: no period is worked on twice.
func TestPeriodicRunsOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const period = 50 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		var all []*Member
		var runs atomic.Int64
		for range 3 {
			m := member(t, db, Config{Heartbeat: 50 * time.Millisecond, Term: 300 * time.Millisecond})
			start(t, m)
			all = append(all, m)
			m.Go(func(_ context.Context) {
				m.Periodic(ctx, "work", period, func(_ context.Context, _ *Lease, begin time.Time) error {
					runs.Add(1)
					_, err := db.Exec(context.WithoutCancel(ctx), `INSERT INTO work (node, period_us) VALUES ($1, $2)`, m.ID(), begin.UnixMicro())
					return err
				})
			})
		}
		nodes := func() (n int) {
			_ = db.QueryRow(t.Context(), `SELECT COUNT(DISTINCT node) FROM work`).Scan(&n)
			return n
		}
		for turn := 1; turn <= 3; turn++ {
			eventually(t, "another one works", func() bool { return nodes() >= turn })
			held, err := all[0].Leases(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range held {
				if h.Holder != "" && turn < 3 {
					if _, err := all[0].Drain(t.Context(), h.Holder, true); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		cancel()
		for _, m := range all {
			if err := m.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var rows, periods, noted int64
		if err := db.QueryRow(t.Context(), `SELECT COUNT(*), COUNT(DISTINCT period_us), (SELECT COUNT(*) FROM periods) FROM work`).Scan(&rows, &periods, &noted); err != nil {
			t.Fatal(err)
		}
		if rows != periods || rows != runs.Load() || noted != periods || rows < 3 {
			t.Errorf("%d rows of %d runs for %d periods, of which %d are noted", rows, runs.Load(), periods, noted)
		}
	})
}

func TestAnnounce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		// Polls are an hour apart: what is heard comes as a notice.
		cfg := Config{Heartbeat: time.Hour}
		one, two := member(t, db, cfg), member(t, db, cfg)
		var heard, other atomic.Int64
		two.On("things", func() { heard.Add(1) })
		two.On("others", func() { other.Add(1) })
		start(t, two)
		if err := one.Announce(t.Context(), "things"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first is heard", func() bool { return heard.Load() > 0 })
		before := heard.Load()
		if err := one.Announce(t.Context(), "things"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the next is heard", func() bool { return heard.Load() > before })
		if other.Load() != 0 {
			t.Error("a topic was heard that nobody announced")
		}
	})
}

func TestPollFindsWhatNoNoticeSaid(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m := member(t, db, quick)
		var heard atomic.Int64
		m.On("things", func() { heard.Add(1) })
		m.working.Go(func() { m.every(m.running, m.cfg.Heartbeat, m.poll) }) // it does not listen
		if err := member(t, db, quick).Announce(t.Context(), "things"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the change is found", func() bool { return heard.Load() > 0 })
	})
}

func TestTasks(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		one, two := member(t, db, quick), member(t, db, quick)
		var done [20]atomic.Int64
		for _, m := range []*Member{one, two} {
			m.Handle("count", func(_ context.Context, task Task) error {
				done[task.Subject[0]-'a'].Add(1)
				return nil
			})
			m.Handle("fail", func(context.Context, Task) error { panic("no") })
			start(t, m)
		}
		add := func(kind, subject string) {
			t.Helper()
			if err := db.Tx(t.Context(), func(tx *database.Tx) error { return one.Add(t.Context(), tx, kind, subject) }); err != nil {
				t.Fatal(err)
			}
		}
		for i := range done {
			add("count", string(rune('a'+i)))
		}
		add("fail", "x")
		add("unknown", "x") // of a newer version: left alone
		eventually(t, "all are done", func() bool {
			all, err := one.Tasks(t.Context(), 100)
			return err == nil && len(all) == 2 && all[0].Attempts+all[1].Attempts == 1 && all[0].State == TaskWaiting
		})
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Errorf("task %d was done %d times", i, n)
			}
		}
	})
}

func TestTaskDiesAndIsRetried(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m := member(t, db, quick)
		var ok atomic.Bool
		m.Handle("index", func(context.Context, Task) error {
			if ok.Load() {
				return nil
			}
			return errors.New("the disk is full")
		})
		start(t, m)
		if err := db.Tx(t.Context(), func(tx *database.Tx) error { return m.Add(t.Context(), tx, "index", "flows") }); err != nil {
			t.Fatal(err)
		}
		task := func() (task Task) {
			all, err := m.Tasks(t.Context(), 10)
			if err == nil && len(all) == 1 {
				task = all[0]
			}
			return task
		}
		eventually(t, "it fails", func() bool {
			x := task()
			return x.State == TaskWaiting && x.Attempts == 1 && x.Error == "the disk is full"
		})
		if next := task().Next; time.Until(next) > time.Minute || next.Before(task().Created) {
			t.Errorf("it is tried again at %s", next)
		}
		if _, err := db.Exec(t.Context(), `UPDATE tasks SET attempts = $1, next_us = 0`, int64(MaxAttempts-1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is dead", func() bool { return task().State == TaskDead })
		ok.Store(true)
		if err := m.Retry(t.Context(), task().ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is done", func() bool { all, err := m.Tasks(t.Context(), 10); return err == nil && len(all) == 0 })
		if err := m.Retry(t.Context(), "none"); !errs.Is(err, errs.NotFound) {
			t.Errorf("retrying nothing: %v", err)
		}
	})
}

// TestTaskOfAHolderThatDied: its claim ends, and another one does it.
func TestTaskOfAHolderThatDied(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		dead, alive := member(t, db, Config{TaskTerm: time.Millisecond}), member(t, db, quick)
		for _, m := range []*Member{dead, alive} {
			m.Handle("x", func(context.Context, Task) error { return nil })
		}
		if err := db.Tx(t.Context(), func(tx *database.Tx) error { return dead.Add(t.Context(), tx, "x", "y") }); err != nil {
			t.Fatal(err)
		}
		lost, ok, err := dead.claim(t.Context())
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		var again Task
		eventually(t, "the claim ends", func() bool { again, ok, err = alive.claim(t.Context()); return err == nil && ok })
		// The one that was thought dead comes back and changes nothing.
		if err := dead.finish(t.Context(), lost, nil, false); err != nil {
			t.Fatal(err)
		}
		if all, err := alive.Tasks(t.Context(), 10); err != nil || len(all) != 1 || all[0].Holder != alive.ID() || again.Attempts != 2 {
			t.Errorf("the tasks are %+v, %v", all, err)
		}
	})
}

func TestDrain(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		one, two := member(t, db, quick), member(t, db, quick)
		start(t, one)
		start(t, two)
		if _, err := one.Drain(t.Context(), "nothing", true); !errs.Is(err, errs.NotFound) {
			t.Errorf("draining nothing: %v", err)
		}
		if _, err := one.Drain(t.Context(), one.host, true); !errs.Is(err, errs.Conflict) {
			t.Errorf("draining two of one host: %v", err)
		}
		if _, err := one.Drain(t.Context(), two.ID(), true); err != nil {
			t.Fatal(err)
		}
		eventually(t, "two drains", two.Draining)
		if one.Draining() || !list(t, one)[1].Draining || two.DrainsFor() <= 0 {
			t.Errorf("the members are %+v", list(t, one))
		}
		if _, err := one.Drain(t.Context(), two.ID(), false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "two takes again", func() bool { return !two.Draining() })
		if _, err := one.Drain(t.Context(), "", true); err != nil || !one.Draining() {
			t.Errorf("draining oneself: %v", err)
		}
	})
}
