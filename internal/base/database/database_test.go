package database_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/database/postgres"
	"github.com/rind-project/rind/internal/base/database/sqlite"
)

var things = []database.Migration{{Name: "things/0001_things", SQL: `
CREATE TABLE things (
	id TEXT PRIMARY KEY,
	n BIGINT NOT NULL,
	x DOUBLE PRECISION,
	data BYTEA,
	yes BOOLEAN
);
CREATE TABLE parts (
	thing TEXT NOT NULL REFERENCES things (id)
);
`}}

func count(t *testing.T, db *database.DB) int {
	t.Helper()
	var n int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM things`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTx(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, things, func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx := t.Context()
		insert := func(tx *database.Tx, id string) error {
			n, err := tx.Exec(ctx, `INSERT INTO things (id, n) VALUES ($1, $2)`, id, 1)
			if err == nil && n != 1 {
				err = fmt.Errorf("changed %d rows", n)
			}
			return err
		}
		if err := db.Tx(ctx, func(tx *database.Tx) error { return insert(tx, "kept") }); err != nil {
			t.Fatal(err)
		}
		oops := errors.New("oops")
		err := db.Tx(ctx, func(tx *database.Tx) error { return errors.Join(insert(tx, "undone"), oops) })
		if !errors.Is(err, oops) {
			t.Errorf("got %v, want the error of fn", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic of fn was swallowed")
				}
			}()
			_ = db.Tx(ctx, func(tx *database.Tx) error { _ = insert(tx, "panicked"); panic("oops") })
		}()
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows after an error and a panic, want 1", n)
		}
		var id string
		err = db.Tx(ctx, func(tx *database.Tx) error {
			return tx.QueryRow(ctx, `INSERT INTO things (id, n) VALUES ($1, $2) RETURNING id`, "returned", 2).Scan(&id)
		})
		if err != nil || id != "returned" {
			t.Errorf("RETURNING gave %q, %v", id, err)
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, things, func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx := t.Context()
		add := func() error {
			_, err := db.Exec(ctx, `INSERT INTO things (id, n) VALUES ($1, $2)`, "one", 1)
			return err
		}
		if err := add(); err != nil {
			t.Fatal(err)
		}
		if err := add(); !database.IsUnique(err) || database.IsTransient(err) {
			t.Errorf("a second row with the key gave %v, want unique and nothing else", err)
		}
		_, err := db.Exec(ctx, `INSERT INTO parts (thing) VALUES ($1)`, "missing")
		if err == nil || database.IsUnique(err) || database.IsTransient(err) {
			t.Errorf("a part of nothing gave %v, want neither unique nor transient", err)
		}
		if err := db.Ping(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestConcurrentTx checks that transactions that read and then write lose no
// update, on PostgreSQL by trying again after a serialization failure.
func TestConcurrentTx(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, things, func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx := t.Context()
		for _, id := range []string{"a", "b"} {
			if _, err := db.Exec(ctx, `INSERT INTO things (id, n) VALUES ($1, 0)`, id); err != nil {
				t.Fatal(err)
			}
		}
		// Half lock a before b, half b before a: PostgreSQL ends a deadlock by
		// undoing one of the two, after deadlock_timeout.
		const workers = 4
		var wg sync.WaitGroup
		for i := range workers {
			order := []string{"a", "b"}
			if i%2 == 1 {
				order = []string{"b", "a"}
			}
			wg.Go(func() {
				err := db.Tx(ctx, func(tx *database.Tx) error {
					for _, id := range order {
						if _, err := tx.Exec(ctx, `UPDATE things SET n = n + 1 WHERE id = $1`, id); err != nil {
							return fmt.Errorf("adding: %w", err)
						}
						time.Sleep(10 * time.Millisecond)
					}
					return nil
				})
				if err != nil {
					t.Errorf("worker %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		var sum int64
		if err := db.QueryRow(ctx, `SELECT CAST(SUM(n) AS BIGINT) FROM things`).Scan(&sum); err != nil || sum != 2*workers {
			t.Errorf("the sum is %d, %v; want %d", sum, err, 2*workers)
		}
	})
}

func TestCopyIn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, things, func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx := t.Context()
		cols := []string{"id", "n", "x", "data", "yes"}
		row := func(prefix string) func(int) []any {
			return func(i int) []any {
				if i%7 == 3 {
					return []any{prefix + strconv.Itoa(i), int64(i), nil, nil, nil}
				}
				return []any{prefix + strconv.Itoa(i), int64(i) << 40, float64(i) / 2, []byte{0, byte(i), 255}, i%2 == 0}
			}
		}
		total := 0
		for _, n := range []int{0, 1, 99, 100, 101, 250, 1000} {
			var copied int64
			err := db.Tx(ctx, func(tx *database.Tx) (err error) {
				copied, err = tx.CopyIn(ctx, "things", cols, n, row(fmt.Sprintf("%d-", n)))
				return err
			})
			if err != nil || copied != int64(n) {
				t.Fatalf("copied %d, %v; want %d", copied, err, n)
			}
			if total += n; count(t, db) != total {
				t.Fatalf("%d rows after %d, want %d", count(t, db), n, total)
			}
		}
		got, want := read(t, db, "250-249"), []any{"250-249", int64(249) << 40, 124.5, []byte{0, 249, 255}, false}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row 249 (-want +got):\n%s", diff)
		}

		err := db.Tx(ctx, func(tx *database.Tx) error {
			if _, err := tx.CopyIn(ctx, "things", cols, 150, row("again-")); err != nil {
				return err
			}
			_, err := tx.CopyIn(ctx, "things", cols, 150, row("250-"))
			return err
		})
		if !database.IsUnique(err) || count(t, db) != total {
			t.Errorf("a copy that collides gave %v and left %d rows, want unique and %d", err, count(t, db), total)
		}
		for name, columns := range map[string][]string{`things"; DROP`: cols, "things": {"id", `n") --`}, "parts": {}} {
			err := db.Tx(ctx, func(tx *database.Tx) error {
				_, err := tx.CopyIn(ctx, name, columns, 1, row("x"))
				return err
			})
			if err == nil {
				t.Errorf("the names %q %q were accepted", name, columns)
			}
		}
	})
}

func read(t *testing.T, db *database.DB, id string) []any {
	t.Helper()
	var (
		key  string
		n    int64
		x    float64
		data []byte
		yes  bool
	)
	err := db.QueryRow(t.Context(), `SELECT id, n, x, data, yes FROM things WHERE id = $1`, id).Scan(&key, &n, &x, &data, &yes)
	if err != nil {
		t.Fatal(err)
	}
	return []any{key, n, x, data, yes}
}

// TestKill checks that what was committed survives a kill -9 of the process.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			where := databasetest.URL(t, e)
			db := databasetest.Reopen(t, e, where)
			if err := database.Migrate(t.Context(), db, things); err != nil {
				t.Fatal(err)
			}
			child := child(t, e, where, "write")
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			last := -1
			for lines := bufio.NewScanner(out); last < 40 && lines.Scan(); {
				if n, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
					if last, err = strconv.Atoi(n); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // it was killed
			if last < 40 {
				t.Fatalf("the child committed up to %d only", last)
			}
			for i := range last + 1 {
				read(t, db, strconv.Itoa(i))
			}
		})
	}
}

// child runs TestChild in a process of its own.
func child(t *testing.T, e database.Engine, where, what string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), "RIND_TEST_ENGINE="+string(e), "RIND_TEST_DATABASE="+where, "RIND_TEST_WHAT="+what)
	return cmd
}

// TestChild is what the processes started by other tests do.
func TestChild(t *testing.T) {
	where := os.Getenv("RIND_TEST_DATABASE")
	if where == "" {
		t.Skip("only in a child of another test")
	}
	ctx := context.Background()
	open := sqlite.Open
	if os.Getenv("RIND_TEST_ENGINE") == string(database.PostgreSQL) {
		open = postgres.Open
	}
	db, err := open(ctx, where)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("RIND_TEST_WHAT") == "stall" {
		t.Fatal(database.Migrate(ctx, db, stalled()))
	}
	if os.Getenv("RIND_TEST_WHAT") == "migrate" {
		if err := database.Migrate(ctx, db, steps(12)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i := range 1_000_000 {
		_, err := db.Exec(ctx, `INSERT INTO things (id, n, x, data, yes) VALUES ($1, $2, 0, $3, $4)`, strconv.Itoa(i), i, []byte{1}, true)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("committed %d\n", i)
	}
}
