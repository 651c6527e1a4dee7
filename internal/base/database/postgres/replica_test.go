package postgres_test

import (
	"context"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/database/postgres"
)

// checkReads reads what may be late from a standby while it is there, and from
// the primary when it is gone.
func checkReads(t *testing.T, primary, standby *databasetest.Instance) {
	t.Helper()
	db, err := postgres.OpenAll(t.Context(), postgres.Options{URL: primary.URL(), Read: standby.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	from := func() (standby bool) {
		t.Helper()
		rows, err := db.QueryLate(t.Context(), `SELECT pg_is_in_recovery()`)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		if !rows.Next() || rows.Scan(&standby) != nil {
			t.Fatal("no answer")
		}
		return standby
	}
	if s, err := db.State(t.Context()); !from() || err != nil || s.ReadFrom != "ok" {
		t.Errorf("it is not read from the standby: %+v, %v", s, err)
	}
	standby.Kill(t)
	if from() {
		t.Error("a standby that is gone answers")
	}
	standby.Start(t)
}

// TestListen hears what a transaction told at its commit, and nothing of one
// that was undone; a connection that breaks is told.
func TestListen(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	db, other := databasetest.Reopen(t, database.PostgreSQL, where+"&application_name=listens"), databasetest.Reopen(t, database.PostgreSQL, where)
	heard, ended := make(chan string, 10), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	channel := "c" + database.NewID()[:8]
	go func() { ended <- db.Listen(ctx, channel, func(m string) { heard <- m }) }()
	if m := <-heard; m != "" {
		t.Errorf("first %q is heard", m)
	}
	tell := func(m string, err error) {
		t.Helper()
		_ = other.Tx(t.Context(), func(tx *database.Tx) error {
			if e := tx.Notify(t.Context(), channel, m); e != nil {
				t.Error(e)
			}
			return err
		})
	}
	tell("undone", context.Canceled)
	tell("done", nil)
	if m := <-heard; m != "done" {
		t.Errorf("%q is heard", m)
	}
	if _, err := other.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listens' AND query LIKE 'LISTEN "' || $1 || '"'`, channel); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || ctx.Err() != nil {
		t.Errorf("the broken connection ends with %v", err)
	}
}
