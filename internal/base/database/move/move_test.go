package move_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/database/move"
	"github.com/rind-project/rind/internal/base/errs"
)

// The table aaa points at zzz, so that the order of names is not that of the
// move. logs is in partitions on PostgreSQL.
var schema = []database.Migration{
	{Name: "room/0001_things", SQL: `
CREATE TABLE zzz (id TEXT PRIMARY KEY, yes BOOLEAN NOT NULL, n BIGINT, small SMALLINT NOT NULL, x DOUBLE PRECISION, raw BYTEA, t TEXT NOT NULL);
CREATE TABLE aaa (id TEXT PRIMARY KEY, zzz TEXT NOT NULL REFERENCES zzz (id));
CREATE TABLE bare (id TEXT PRIMARY KEY);
CREATE TABLE passing (id TEXT PRIMARY KEY);
INSERT INTO bare (id) VALUES ('made by the schema');
`},
	{Name: "room/0002_logs", SQL: `
CREATE TABLE logs_p1 (time_us BIGINT NOT NULL, t TEXT NOT NULL);
CREATE TABLE logs_rest (time_us BIGINT NOT NULL, t TEXT NOT NULL);
CREATE VIEW logs AS SELECT * FROM logs_p1 UNION ALL SELECT * FROM logs_rest;
`, PostgreSQL: `
CREATE TABLE logs (time_us BIGINT NOT NULL, t TEXT NOT NULL) PARTITION BY RANGE (time_us);
CREATE TABLE logs_p1 PARTITION OF logs FOR VALUES FROM (0) TO (1000);
CREATE TABLE logs_p2 PARTITION OF logs FOR VALUES FROM (1000) TO (2000);
CREATE TABLE logs_rest PARTITION OF logs DEFAULT;
`},
}

func whole(table string) string {
	if strings.HasPrefix(table, "logs_") {
		return "logs"
	}
	return table
}

func fill(t *testing.T, db *database.DB) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *database.Tx) error {
		if _, err := tx.Exec(t.Context(), `DELETE FROM bare`); err != nil {
			return err
		}
		_, err := tx.CopyIn(t.Context(), "zzz", []string{"id", "yes", "n", "small", "x", "raw", "t"}, 12_000, func(i int) []any {
			if i == 7 {
				return []any{"7", false, nil, int64(-1), nil, nil, ""}
			}
			return []any{fmt.Sprint(i), i%2 == 0, int64(i) << 40, int64(i % 100), float64(i) / 3, []byte{0, byte(i), 255}, "ü\n" + fmt.Sprint(i)}
		})
		if err != nil {
			return err
		}
		for _, q := range []string{`INSERT INTO aaa (id, zzz) VALUES ('1', '9'), ('2', '11999')`, `INSERT INTO passing (id) VALUES ('x')`} {
			if _, err := tx.Exec(t.Context(), q); err != nil {
				return err
			}
		}
		into := map[database.Engine]string{database.SQLite: "logs_rest", database.PostgreSQL: "logs"}[db.Engine()]
		_, err = tx.CopyIn(t.Context(), into, []string{"time_us", "t"}, 6000, func(i int) []any { return []any{int64(i), "same"} })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var options = move.Options{Skip: []string{"passing"}, Whole: whole}

// target is an empty database, prepared.
func target(t *testing.T, e database.Engine) *database.DB {
	t.Helper()
	db := databasetest.Reopen(t, e, databasetest.URL(t, e))
	prepare(t, db)
	return db
}

func prepare(t *testing.T, db *database.DB) {
	t.Helper()
	if err := move.Prepare(t.Context(), db, "here"); err != nil {
		t.Fatal(err)
	}
	if err := database.Migrate(t.Context(), db, schema); err != nil {
		t.Fatal(err)
	}
}

// TestThereAndBack moves from each engine to the other, and back into a third
// database, which is then the same as the first.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			other := map[database.Engine]database.Engine{database.SQLite: database.PostgreSQL, database.PostgreSQL: database.SQLite}[e]
			first, second, third := databasetest.Open(t, e, schema), target(t, other), target(t, e)
			fill(t, first)
			there, err := move.Run(t.Context(), first, second, options)
			if err != nil {
				t.Fatal(err)
			}
			back, err := move.Run(t.Context(), second, third, options)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(there) != fmt.Sprint(back) || len(there) != 4 {
				t.Errorf("there %v, back %v", there, back)
			}
			for _, r := range there {
				if want := map[string]int64{"zzz": 12_000, "aaa": 2, "bare": 0, "logs": 6000}[r.Table]; r.Rows != want {
					t.Errorf("%s has %d rows, want %d", r.Table, r.Rows, want)
				}
				var n int64
				if err := second.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+r.Table).Scan(&n); err != nil || n != r.Rows {
					t.Errorf("the target has %d rows in %s, %v", n, r.Table, err)
				}
			}
			if err := move.Prepare(t.Context(), second, "here"); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "not empty") {
				t.Errorf("moving into a database with rows: %v", err)
			}
		})
	}
}

// TestInterrupted ends a move after each of its batches, and goes on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			other := map[database.Engine]database.Engine{database.SQLite: database.PostgreSQL, database.PostgreSQL: database.SQLite}[e]
			from, to := databasetest.Open(t, e, schema), target(t, other)
			fill(t, from)
			stops := 0
			for {
				ctx, cancel := context.WithCancel(t.Context())
				opts := options
				opts.Moved = func(string, int64) { cancel() }
				_, err := move.Run(ctx, from, to, opts)
				cancel()
				if err == nil {
					break
				}
				if stops++; stops > 20 {
					t.Fatalf("it does not get on: %v", err)
				}
				prepare(t, to)
				if err := move.Prepare(t.Context(), to, "elsewhere"); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "unfinished move from here") {
					t.Fatalf("going on from another source: %v", err)
				}
			}
			if stops < 4 {
				t.Errorf("it was stopped %d times", stops)
			}
		})
	}
}

// TestChangedMeanwhile: a row that came into the source behind the move is
// found.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	from, to := databasetest.Open(t, database.SQLite, schema), target(t, database.PostgreSQL)
	fill(t, from)
	opts := options
	opts.Moved = func(table string, rows int64) {
		if table == "zzz" && rows == 12_000 {
			if _, err := from.Exec(t.Context(), `UPDATE zzz SET t = 'other' WHERE id = '5'`); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := move.Run(t.Context(), from, to, opts); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "zzz") {
		t.Errorf("got %v", err)
	}
	if _, err := move.Run(t.Context(), from, from, opts); !errs.Is(err, errs.Invalid) {
		t.Errorf("into itself: %v", err)
	}
}

// TestBatchOfAMoveThatWasKilled: PostgreSQL may still be about to commit a batch
// of a process that is gone. Who goes on waits for it, and does not copy its rows
// a second time.
func TestBatchOfAMoveThatWasKilled(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	from, to := databasetest.Open(t, database.SQLite, schema), databasetest.Reopen(t, database.PostgreSQL, where)
	killed := databasetest.Reopen(t, database.PostgreSQL, where)
	prepare(t, to)
	fill(t, from)
	if _, err := to.Exec(t.Context(), `DELETE FROM bare`); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Exec(t.Context(), `UPDATE move_state SET row_count = 1`); err != nil {
		t.Fatal(err)
	}
	moved := make(chan error, 1)
	err := killed.Tx(t.Context(), func(tx *database.Tx) error {
		for _, q := range []string{
			`UPDATE move_state SET row_count = row_count WHERE name = ''`,
			`INSERT INTO logs (time_us, t) SELECT i, 'same' FROM generate_series(0, 4999) AS i`,
			`INSERT INTO move_state (name, place, row_count) VALUES ('logs_rest', '5000', 5000)`,
		} {
			if _, err := tx.Exec(t.Context(), q); err != nil {
				return err
			}
		}
		go func() {
			_, err := move.Run(t.Context(), from, to, options)
			moved <- err
		}()
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			var n int
			err := to.QueryRow(t.Context(), `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE 'UPDATE move_state%')`).Scan(&n)
			if err != nil || n > 0 {
				return err
			}
			if time.Now().After(end) {
				return errors.New("the move does not wait for the batch that is under way")
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	var n int
	if err := to.QueryRow(t.Context(), `SELECT COUNT(*) FROM logs`).Scan(&n); err != nil || n != 6000 {
		t.Errorf("%d rows of 6000, %v", n, err)
	}
}
