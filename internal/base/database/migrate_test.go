package database_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
)

// steps are n migrations of which each fails when it runs twice.
func steps(n int) []database.Migration {
	var all []database.Migration
	for i := 1; i <= n; i++ {
		all = append(all, database.Migration{
			Name: fmt.Sprintf("step/%04d_s", i),
			SQL:  fmt.Sprintf("CREATE TABLE s%d (\n\tid BIGINT PRIMARY KEY\n);\nINSERT INTO s%d (id) VALUES (%d);\n", i, i, i),
		})
	}
	return all
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			where := databasetest.URL(t, e)
			var wg sync.WaitGroup
			for i := range 4 { // handles of their own
				db := databasetest.Reopen(t, e, where)
				wg.Go(func() {
					if err := database.Migrate(t.Context(), db, steps(12)); err != nil {
						t.Errorf("goroutine %d: %v", i, err)
					}
				})
			}
			for i := range 2 { // processes of their own
				wg.Go(func() {
					if out, err := child(t, e, where, "migrate").CombinedOutput(); err != nil {
						t.Errorf("process %d: %v\n%s", i, err, out)
					}
				})
			}
			wg.Wait()
			var n int
			db := databasetest.Reopen(t, e, where)
			if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM schema_history`).Scan(&n); err != nil || n != 12 {
				t.Errorf("%d migrations in the history, %v; want 12", n, err)
			}
		})
	}
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	altered := steps(3)
	altered[1].SQL = "CREATE TABLE s2 (\n\tid TEXT PRIMARY KEY\n);\n"
	other := database.Migration{Name: "other/0001_o", SQL: "CREATE TABLE o (id TEXT);\n"}
	inserted := append(append([]database.Migration{}, steps(1)...), database.Migration{Name: "step/0002_late", SQL: "CREATE TABLE late (id TEXT);\n"})
	tests := map[string]struct {
		before, ms []database.Migration
		want       string // "" when it goes well
		kind       errs.Kind
	}{
		"the same again":       {before: steps(3), ms: steps(3)},
		"more":                 {before: steps(2), ms: steps(3)},
		"another room only":    {before: steps(3), ms: []database.Migration{other}},
		"line ends":            {before: steps(3), ms: withCRLF(steps(3))},
		"newer":                {before: steps(3), ms: append(steps(2), other), want: "newer version", kind: errs.Conflict},
		"renamed":              {before: steps(3), ms: append(inserted, steps(3)[2]), want: "newer version", kind: errs.Conflict},
		"altered":              {before: steps(3), ms: append(altered, other), want: "another text", kind: errs.Conflict},
		"a gap":                {before: []database.Migration{steps(2)[1]}, ms: steps(2), want: "before it was not", kind: errs.Conflict},
		"bad name":             {ms: []database.Migration{{Name: "nonsense", SQL: "SELECT 1;\n"}}, want: "room/0001_word"},
		"number twice":         {ms: []database.Migration{steps(1)[0], {Name: "step/0001_t", SQL: "SELECT 1;\n"}}, want: "does not rise"},
		"number falls":         {ms: []database.Migration{steps(2)[1], steps(2)[0]}, want: "does not rise"},
		"no statement":         {ms: []database.Migration{{Name: "step/0001_s", SQL: " ;\n"}}, want: "no statement"},
		"a statement is bad":   {before: steps(1), ms: append(steps(1), database.Migration{Name: "step/0002_s", SQL: "CREATE TABLE half (id TEXT);\nCREATE NONSENSE;\n"}), want: "step/0002_s, statement 2"},
		"a table there before": {before: steps(1), ms: append(steps(1), database.Migration{Name: "step/0002_s", SQL: "CREATE TABLE s1 (id TEXT);\n"}), want: "step/0002_s, statement 1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databasetest.Each(t, tc.before, func(t *testing.T, db *database.DB) {
				t.Parallel()
				before := history(t, db)
				err := database.Migrate(t.Context(), db, tc.ms)
				if tc.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tc.want) || errs.KindOf(err) != tc.kind {
					t.Fatalf("got %v (%v), want %q (%v)", err, errs.KindOf(err), tc.want, tc.kind)
				}
				if after := history(t, db); after != before {
					t.Errorf("it changed the history from %s to %s", before, after)
				}
				if _, err := db.Exec(t.Context(), `SELECT id FROM half`); err == nil {
					t.Error("half a migration stayed")
				}
			})
		})
	}
}

// stalled are three migrations, of which the last makes a table and then goes
// on for longer than a test waits.
func stalled() []database.Migration {
	return append(steps(2), database.Migration{
		Name: "step/0003_s",
		SQL:  "CREATE TABLE half (\n\tid BIGINT\n);\nINSERT INTO half (id) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000000) SELECT COUNT(*) FROM n;\n",
		// The server goes on with a statement whose client has gone.
		PostgreSQL: "CREATE TABLE half (\n\tid BIGINT\n);\nSELECT pg_sleep(3);\n",
	})
}

// TestMigrateInterrupted kills a process half-way through a migration, which
// another one then makes whole.
func TestMigrateInterrupted(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			where := databasetest.URL(t, e)
			cmd := child(t, e, where, "stall")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			db := databasetest.Reopen(t, e, where)
			for end := time.Now().Add(time.Minute); history(t, db) != "step/0001_s step/0002_s"; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the child has made %s", history(t, db))
				}
			}
			time.Sleep(300 * time.Millisecond) // it is in the third
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			if err := database.Migrate(t.Context(), db, steps(4)); err != nil {
				t.Fatal(err)
			}
			if got := history(t, db); got != "step/0001_s step/0002_s step/0003_s step/0004_s" {
				t.Errorf("after it was gone on with, there are %s", got)
			}
			if _, err := db.Exec(t.Context(), `SELECT id FROM half`); err == nil {
				t.Error("half a migration stayed")
			}
		})
	}
}

func withCRLF(ms []database.Migration) []database.Migration {
	for i := range ms {
		ms[i].SQL = strings.ReplaceAll(ms[i].SQL, "\n", "\r\n")
	}
	return ms
}

// history is the list of what was applied, or "none".
func history(t *testing.T, db *database.DB) string {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT name FROM schema_history ORDER BY name`)
	if err != nil {
		return "none"
	}
	defer func() { _ = rows.Close() }()
	names := "none"
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names += " " + name
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(names, "none ")
}
