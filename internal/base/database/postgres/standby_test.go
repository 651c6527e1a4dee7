package postgres_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
)

// TestConnectionsToAStandbyAreDropped has a pool whose connections take no
// writes, as they are when they lead to a standby by mistake, while further
// ones would: a write fails once, says why, and the next one goes well.
func TestConnectionsToAStandbyAreDropped(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	admin := databasetest.Reopen(t, database.PostgreSQL, where)
	role := "r" + strings.ReplaceAll(database.NewID(), "-", "")
	run := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE ROLE ` + role + ` LOGIN SUPERUSER`)
	t.Cleanup(func() { _, _ = admin.Exec(t.Context(), `DROP ROLE `+role) })
	run(`CREATE TABLE things (id TEXT)`)
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	write := map[string]func(*database.DB) error{
		"Exec": func(db *database.DB) error {
			_, err := db.Exec(t.Context(), `INSERT INTO things (id) VALUES ($1)`, "x")
			return err
		},
		"Tx": func(db *database.DB) error {
			return db.Tx(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO things (id) VALUES ($1)`, "x")
				return err
			})
		},
	}
	for name, try := range write {
		run(`ALTER ROLE ` + role + ` SET default_transaction_read_only = on`)
		db := databasetest.Reopen(t, database.PostgreSQL, u.String())
		run(`ALTER ROLE ` + role + ` RESET default_transaction_read_only`)
		if err := try(db); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "standby") || !database.IsReadOnly(err) {
			t.Errorf("%s on a connection that takes no writes: %v", name, err)
		}
		if err := try(db); err != nil {
			t.Errorf("%s after it: %v", name, err)
		}
	}
}

// TestHosts opens a primary that stands behind a standby in the URL, and reads
// from the standby what may be late.
func TestHosts(t *testing.T) {
	t.Parallel()
	primary := databasetest.NewInstance(t)
	standby := primary.Standby(t)
	db := databasetest.Reopen(t, database.PostgreSQL, databasetest.URLOf(standby, primary))
	if _, err := db.Exec(t.Context(), `CREATE TABLE things (id TEXT)`); err != nil {
		t.Fatal(err)
	}
	state, err := db.State(t.Context())
	if err != nil || state.Role != "primary" || len(state.Standbys) != 1 || state.Max != 100 || state.Connections < 1 || state.SizeBytes == 0 || state.Version == "" {
		t.Errorf("the state is %+v, %v", state, err)
	}
	checkReads(t, primary, standby)
}
