package databasetest

import (
	"testing"

	"github.com/rind-project/rind/internal/base/database"
)

// TestEach checks that every sub-test has a database of its own, with both
// engines reached where they are installed.
func TestEach(t *testing.T) {
	t.Parallel()
	ms := []database.Migration{{Name: "room/0001_things", SQL: "CREATE TABLE things (id TEXT PRIMARY KEY);\n"}}
	for range 2 {
		Each(t, ms, func(t *testing.T, db *database.DB) {
			t.Parallel()
			if _, err := db.Exec(t.Context(), "INSERT INTO things (id) VALUES ($1)", "one"); err != nil {
				t.Fatalf("the database is not this test's own: %v", err)
			}
			var n int
			if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM things").Scan(&n); err != nil || n != 1 {
				t.Fatalf("got %d rows, %v; want 1", n, err)
			}
		})
	}
}
