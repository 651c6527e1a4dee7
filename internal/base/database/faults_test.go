package database_test

import (
	"context"
	"math"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// TestFaultsOfData tells values that a table cannot hold from statements that
// cannot be, and both from a connection that is gone.
func TestFaultsOfData(t *testing.T) {
	t.Parallel()
	schema := []database.Migration{{Name: "test/0001_faults", SQL: `CREATE TABLE held (small SMALLINT NOT NULL CHECK (small < 100), name TEXT NOT NULL UNIQUE)`}}
	databasetest.Each(t, schema, func(t *testing.T, db *database.DB) {
		insert := func(small any, name any) error {
			_, err := db.Exec(t.Context(), `INSERT INTO held (small, name) VALUES ($1, $2)`, small, name)
			return err
		}
		copyIn := func(values ...any) error {
			return db.Tx(t.Context(), func(tx *database.Tx) error {
				_, err := tx.CopyIn(t.Context(), "held", []string{"small", "name"}, 1, func(int) []any { return values })
				return err
			})
		}
		if err := insert(int64(1), "a"); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"a check": insert(int64(100), "b"), "a null": insert(int64(1), nil), "a key that exists": insert(int64(1), "a"),
			"a check in COPY": copyIn(int64(100), "b"), "a number over the column in COPY": copyIn(int64(math.MaxInt32), "b"),
		} {
			if !database.IsData(err) || !database.Answered(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := db.Exec(t.Context(), `INSERT INTO nothing (x) VALUES (1)`); database.IsData(err) || !database.Answered(err) {
			t.Errorf("a table that is not there: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := db.Exec(ended, `DELETE FROM held`); database.IsData(err) || err == nil {
			t.Errorf("a caller who has gone: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := insert(int64(1), "c"); database.IsData(err) || database.Answered(err) || err == nil {
			t.Errorf("a database that is closed: %v", err)
		}
	})
}
