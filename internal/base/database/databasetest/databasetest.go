// Package databasetest gives tests a clean schema on each engine. For
// PostgreSQL it starts a server of its own, once per test process, in a
// temporary folder; the server and the folder are gone when the process is,
// however it ends.
package databasetest

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/postgres"
	"github.com/rind-project/rind/internal/base/database/sqlite"
)

// Engines are the engines in the order in which Each runs them.
func Engines() []database.Engine { return []database.Engine{database.SQLite, database.PostgreSQL} }

// Each runs fn on both engines, in the sub-tests "sqlite" and "postgres", each
// with an empty database to which the migrations were applied. fn may call
// t.Parallel. On a machine without PostgreSQL that sub-test is skipped and
// says so.
func Each(t *testing.T, ms []database.Migration, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	for _, e := range Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Helper()
			fn(t, Open(t, e, ms))
		})
	}
}

// Open returns an empty database with the migrations, which ends with the test.
func Open(t testing.TB, e database.Engine, ms []database.Migration) *database.DB {
	t.Helper()
	db := Reopen(t, e, URL(t, e))
	if err := database.Migrate(t.Context(), db, ms); err != nil {
		t.Fatalf("migrating: %v", err)
	}
	return db
}

// URL returns where an empty database is: the path of a SQLite file that does
// not exist yet, or the URL of a schema of its own on PostgreSQL, which is
// dropped when the test ends. It skips the test when the engine is missing.
func URL(t testing.TB, e database.Engine) string {
	t.Helper()
	if e == database.SQLite {
		return filepath.Join(t.TempDir(), "rind.db")
	}
	return newSchema(t)
}

// Reopen opens what URL returned; several handles to one database play several
// processes.
func Reopen(t testing.TB, e database.Engine, where string) *database.DB {
	t.Helper()
	open := sqlite.Open
	if e == database.PostgreSQL {
		open = postgres.Open
	}
	db, err := open(t.Context(), where)
	if err != nil {
		t.Fatalf("opening a %s database: %v", e, err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the %s database: %v", e, err)
		}
	})
	return db
}

// newSchema makes a schema and returns a URL whose search_path is it alone.
func newSchema(t testing.TB) string {
	t.Helper()
	server, err := theServer()
	if err != nil {
		t.Fatalf("starting a PostgreSQL for the tests: %v", err)
	}
	if server == nil {
		t.Skip("skipped on PostgreSQL: no initdb and postgres on this machine, neither in PATH nor in /usr/lib/postgresql/*/bin; install PostgreSQL to run it")
	}
	name := "t_" + strings.ReplaceAll(database.NewID(), "-", "")
	if _, err := server.admin.Exec(t.Context(), `CREATE SCHEMA `+name); err != nil {
		t.Fatalf("making a schema: %v", err)
	}
	t.Cleanup(func() {
		if _, err := server.admin.Exec(context.Background(), `DROP SCHEMA `+name+` CASCADE`); err != nil {
			t.Errorf("dropping the schema: %v", err)
		}
	})
	u, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	q.Set("pool_max_conns", "8")
	u.RawQuery = q.Encode()
	return u.String()
}
