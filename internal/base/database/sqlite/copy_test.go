package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rind-project/rind/internal/base/database/sqlite"
)

// A copy is whole, although it is made of a database that is written to.
func TestCopy(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "it's a.db"), filepath.Join(t.TempDir(), "copy ?.db")
	db, err := sqlite.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"CREATE TABLE a (n BIGINT)", "INSERT INTO a VALUES (1), (2), (3)"} {
		if _, err := db.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := sqlite.Copy(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := db.Exec(t.Context(), "INSERT INTO a VALUES (4)"); err != nil {
		t.Fatal(err)
	}
	copied, err := sqlite.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	var n int
	if err := copied.QueryRow(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d rows in the copy: %v", n, err)
	}
	if err := sqlite.Copy(t.Context(), from, to); err == nil {
		t.Error("it was written over a file")
	}
	if err := sqlite.Copy(t.Context(), filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("a copy of nothing")
	}
}
