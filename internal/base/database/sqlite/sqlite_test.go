package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/sqlite"
	"github.com/rind-project/rind/internal/base/errs"
)

func open(t *testing.T, path string) *database.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestSettings asks both pools what they run with.
func TestSettings(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "rind.db"))
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"}
	for name, value := range want {
		var got string
		if err := db.QueryRow(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != value {
			t.Errorf("reader: %s is %q, %v; want %q", name, got, err, value)
		}
		err := db.Tx(t.Context(), func(tx *database.Tx) error {
			return tx.QueryRow(t.Context(), "PRAGMA "+name).Scan(&got)
		})
		if err != nil || got != value {
			t.Errorf("writer: %s is %q, %v; want %q", name, got, err, value)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "rind.db"))
	if _, err := db.Exec(t.Context(), `CREATE TABLE t (id TEXT)`); err != nil {
		t.Fatal(err)
	}
	var id string
	err := db.QueryRow(t.Context(), `INSERT INTO t (id) VALUES ($1) RETURNING id`, "x").Scan(&id)
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a write by Query gave %q, %v; want it refused", id, err)
	}
}

// TestPaths checks that any path names its own file, with mode 0600 for it and
// its log.
func TestPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"rind.db", "a b", "q?mode=memory", "h#x", "p%41", "grün", "_pragma=x&y"} {
		path := filepath.Join(dir, name)
		db := open(t, path)
		if _, err := db.Exec(t.Context(), `CREATE TABLE t (id TEXT)`); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		for _, file := range []string{path, path + "-wal"} {
			info, err := os.Stat(file)
			if err != nil {
				t.Errorf("%q: %v", name, err)
			} else if info.Mode().Perm() != 0o600 {
				t.Errorf("%q has mode %v", file, info.Mode())
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3*7 {
		t.Errorf("the folder has %d files, %v; want database, log and index of 7", len(entries), err)
	}
}

func TestTightensMode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rind.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v; want 0600", info.Mode(), err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ path, want string }{
		"no name":      {"", "no file is named"},
		"no folder":    {filepath.Join(dir, "missing", "rind.db"), "does not exist; make it"},
		"is a folder":  {dir, "is a directory"},
		"no database":  {garbage, "no SQLite file; move it away"},
		"is a device":  {"/dev/null", "not a regular file"},
		"in no folder": {filepath.Join(garbage, "rind.db"), "not a directory"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := sqlite.Open(t.Context(), tc.path)
			if err == nil {
				_ = db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestUnwritableFolder opens as a user who may not write: as root by giving up
// the right to on one thread.
func TestUnwritableFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	failed := make(chan error)
	go func() {
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // for ever: the thread ends with the goroutine
			if err := syscall.Setfsuid(65534); err != nil {
				failed <- err
				return
			}
		}
		db, err := sqlite.Open(context.Background(), filepath.Join(dir, "rind.db"))
		if err == nil {
			_ = db.Close()
		}
		failed <- err
	}()
	err := <-failed
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "change the owner of "+dir) {
		t.Errorf("got %v, want a message that says what to do about %s", err, dir)
	}
}
