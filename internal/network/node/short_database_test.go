package node

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// finding returns what a node's status finds of the whole cluster.
func finding(t *testing.T, ask *Node, what string) (f Finding, ok bool) {
	t.Helper()
	s, err := ask.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Findings, func(f Finding) bool { return f.What == what })
	if i < 0 {
		return Finding{}, false
	}
	return s.Findings[i], true
}

// TestShortOfSQLite holds the write lock of the file, as another program does
// that works on it: the heartbeat waits for it, and so does a report.
func TestShortOfSQLite(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.SQLite)
	db, other := databasetest.Reopen(t, database.SQLite, where), databasetest.Reopen(t, database.SQLite, where)
	if err := database.Migrate(t.Context(), db, Migrations()); err != nil {
		t.Fatal(err)
	}
	n := beating(t, db, 2*time.Second)
	server, token := served(t, n), addTaps(t, n, 1)[0]
	hold := func(until func()) {
		t.Helper()
		if err := other.Tx(t.Context(), func(*database.Tx) error {
			until()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	hold(func() { foundShort(t, n, "sqlite", n.ID(), "one small transaction takes ") })
	within(t, "small transactions are quick again", func() bool {
		s, err := n.Status(t.Context())
		return err == nil && said(s, "sqlite", n.ID()) == ""
	})
	answered := make(chan int, 1)
	hold(func() {
		body := smallReport(t, "tap-0", 1)
		go func() {
			status, _, _ := post(server, token, body)
			answered <- status
		}()
		time.Sleep(busyFactor*commitSlowMS*time.Millisecond + time.Second)
	})
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the report is answered %d", status)
	}
	foundShort(t, n, "sqlite", n.ID(), "ms for its commit")
	if f, ok := finding(t, n, "sqlite"); !ok || !strings.Contains(f.Do, "rind database move") {
		t.Errorf("what to do: %+v", f)
	}
	sequence := uint64(1)
	within(t, "reports are quick again", func() bool {
		sequence++
		if status, text := give(t, server, token, smallReport(t, "tap-0", sequence)); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		time.Sleep(100 * time.Millisecond)
		_, still := finding(t, n, "sqlite")
		return !still
	})
}

// TestShortOfTime sends what a tap has kept while no node took it: it is
// committed minutes after its end, on either engine, and the status says so
// until reports come in time.
func TestShortOfTime(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		n := beating(t, db, time.Second)
		server, token := served(t, n), addTaps(t, n, 1)[0]
		sequence := uint64(0)
		send := func(age time.Duration) {
			t.Helper()
			sequence++
			r := reporttest.New(sequence, network.Identity{Tap: "tap-0", Boot: reporttest.Boot(1), Sequence: sequence}, time.Now().Add(-age), reporttest.Size{Flows: 3})
			body, err := report.Encode(r)
			if err != nil {
				t.Fatal(err)
			}
			if status, text := give(t, server, token, body); status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
		}
		send(0)
		if f, ok := finding(t, n, "lag"); ok {
			t.Fatalf("in time, and the status says %+v", f)
		}
		for age := 4 * time.Minute; age > time.Minute; age -= 10 * time.Second {
			send(age)
		}
		foundShort(t, n, "lag", n.ID(), "reports are committed ")
		within(t, "reports are in time again", func() bool {
			send(0)
			_, still := finding(t, n, "lag")
			return !still
		})
	})
}

// TestClockOfTheDatabase starts a PostgreSQL whose clock is off: a node says by
// how much, holds its leases by that clock all the same, and takes reports.
func TestClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := databasetest.NewInstance(t)
	server.Clock(t, 90*time.Second)
	db := databasetest.Reopen(t, database.PostgreSQL, server.URL())
	if err := database.Migrate(t.Context(), db, Migrations()); err != nil {
		t.Fatal(err)
	}
	n := beating(t, db, time.Second)
	within(t, "the status names the clock", func() bool {
		f, ok := finding(t, n, "clock")
		return ok && (strings.Contains(f.Shows, "1m30") || strings.Contains(f.Shows, "1m29.9")) && strings.Contains(f.Do, "NTP")
	})
	within(t, "leases are held by the database's clock", func() bool {
		s, err := n.Status(t.Context())
		return err == nil && len(s.Leases) > 0 && s.Leases[0].Held && s.Leases[0].Holder == n.ID() && len(s.Nodes) == 1 && s.Nodes[0].Alive
	})
	url, token := served(t, n), addTaps(t, n, 1)[0]
	if status, text := give(t, url, token, smallReport(t, "tap-0", 1)); status != http.StatusOK {
		t.Errorf("a report beside a clock that is off: %d %s", status, text)
	}
	server.Clock(t, 0)
	within(t, "it is over", func() bool {
		s, err := n.Status(t.Context())
		return err == nil && !s.Silent && !slices.ContainsFunc(s.Findings, func(f Finding) bool { return f.What == "clock" })
	})
}

// TestStandbyInsteadOfThePrimary leads nodes to a real streaming standby: by a
// name that has moved to it, and by several hosts of which the primary is gone.
// Both say that it is one, and go on when it is promoted. A start refuses it.
func TestStandbyInsteadOfThePrimary(t *testing.T) {
	t.Parallel()
	primary := databasetest.NewInstance(t)
	standby := primary.Standby(t)
	var wire slowWire
	name := wire.listen(t, "tcp", primary.Addr())
	migrating := databasetest.Reopen(t, database.PostgreSQL, primary.URL())
	if err := database.Migrate(t.Context(), migrating, Migrations()); err != nil {
		t.Fatal(err)
	}
	moved := beating(t, databasetest.Reopen(t, database.PostgreSQL, "postgres://rind@"+name+"/postgres?sslmode=disable"), time.Second)
	several := beating(t, databasetest.Reopen(t, database.PostgreSQL, databasetest.URLOf(primary, standby)), time.Second)
	for _, n := range []*Node{moved, several} {
		if f, ok := finding(t, n, "standby"); ok {
			t.Fatalf("of the primary it says %+v", f)
		}
	}
	wire.move(standby.Addr())
	primary.Kill(t)
	for who, n := range map[string]*Node{"a name that moved": moved, "several hosts": several} {
		within(t, who+": the status says that it is a standby", func() bool {
			f, ok := finding(t, n, "standby")
			return ok && strings.Contains(f.Do, "promote it")
		})
		if f, ok := finding(t, n, "postgresql"); ok && f.Shows == "the database does not answer" {
			t.Errorf("%s: beside it the status says that %s", who, f.Shows)
		}
	}
	for who, where := range map[string]string{"alone": standby.URL(), "among several": databasetest.URLOf(primary, standby)} {
		err := databasetest.Refused(t, where)
		if !strings.Contains(err.Error(), "read-only replica") || !strings.Contains(err.Error(), "primary in database.url") {
			t.Errorf("a server that starts with a standby %s says %v", who, err)
		}
	}
	standby.Promote(t)
	// The streaming standby that its commits would wait for is gone.
	standby.Run(t, `ALTER SYSTEM RESET synchronous_standby_names`)
	standby.Run(t, `SELECT pg_reload_conf()`)
	for who, n := range map[string]*Node{"a name that moved": moved, "several hosts": several} {
		within(t, who+": it is over", func() bool {
			_, still := finding(t, n, "standby")
			return !still && n.Check(t.Context()) == nil
		})
	}
}
