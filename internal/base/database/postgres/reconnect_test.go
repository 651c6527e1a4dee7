package postgres_test

import (
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// TestConnectionsLost ends all connections of the pool at once, as a restart
// of the server does, and checks that the next calls notice nothing.
func TestConnectionsLost(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	other := databasetest.Reopen(t, database.PostgreSQL, where)
	db := databasetest.Reopen(t, database.PostgreSQL, where+"&application_name=lost-"+database.NewID())
	ctx := t.Context()
	var name string
	if err := db.QueryRow(ctx, `SELECT current_setting('application_name')`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	nothing := func(tx *database.Tx) error { _, err := tx.Exec(ctx, `SELECT 1`); return err }
	for what, call := range map[string]func() error{
		"Tx":   func() error { return db.Tx(ctx, nothing) },
		"Exec": func() error { _, err := db.Exec(ctx, `SELECT 1`); return err },
		"Ping": func() error { return db.Ping(ctx) },
	} {
		if err := call(); err != nil { // a connection is in the pool
			t.Fatal(err)
		}
		n, err := other.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1`, name)
		if err != nil || n == 0 {
			t.Fatalf("ended %d connections, %v", n, err)
		}
		if what != "Tx" { // which needs no such grace
			time.Sleep(100 * time.Millisecond)
		}
		if err := call(); err != nil {
			t.Errorf("%s after its connection was lost: %v", what, err)
		}
	}
}
