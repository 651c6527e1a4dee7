package postgres_test

import (
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// TestReadersOnlyRead shows that a query cannot write, and is given up by the
// server itself, while a transaction may take its time.
func TestReadersOnlyRead(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.PostgreSQL, nil)
	if _, err := db.Exec(t.Context(), "CREATE TABLE t (n BIGINT)"); err != nil {
		t.Fatal(err)
	}
	var n int64
	if err := db.QueryRow(t.Context(), "INSERT INTO t VALUES (1) RETURNING n").Scan(&n); err == nil {
		t.Error("a query wrote")
	}
	setting := func(name string) string {
		t.Helper()
		var s string
		if err := db.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := setting("statement_timeout"); got != "30s" {
		t.Errorf("a query may take %s", got)
	}
	if got := setting("work_mem"); got != "16MB" {
		t.Errorf("a query has %s of memory before it writes to disk", got)
	}
	err := db.Tx(t.Context(), func(tx *database.Tx) error {
		var s string
		if err := tx.QueryRow(t.Context(), "SELECT current_setting('statement_timeout')").Scan(&s); err != nil || s != "0" {
			t.Errorf("a transaction may take %s, %v", s, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
