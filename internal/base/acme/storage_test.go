package acme

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

func newTestStorage(t *testing.T, db *database.DB, key []byte) *storage {
	t.Helper()
	s, err := newStorage(db, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStorage(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx, s := t.Context(), newTestStorage(t, db, testKey)
		for name, value := range map[string]string{"a/b/one": "1", "a/b/two": "22", "a/c": "3", "a_b/x": "4", "top": ""} {
			for range 2 { // the second replaces the first
				if err := s.Store(ctx, name, []byte(value)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if v, err := s.Load(ctx, "a/b/two"); string(v) != "22" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		if _, err := s.Load(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("loading a folder: %v", err)
		}
		for dir, want := range map[string][2][]string{
			"a":    {{"a/b", "a/c"}, {"a/b", "a/b/one", "a/b/two", "a/c"}},
			"a/b/": {{"a/b/one", "a/b/two"}, {"a/b/one", "a/b/two"}},
			"a_b":  {{"a_b/x"}, {"a_b/x"}},
		} {
			for i, recursive := range []bool{false, true} {
				got, err := s.List(ctx, dir, recursive)
				if diff := cmp.Diff(want[i], got); diff != "" || err != nil {
					t.Errorf("%s, recursive %v: %v %s", dir, recursive, err, diff)
				}
			}
		}
		if _, err := s.List(ctx, "none", true); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("listing nothing: %v", err)
		}
		file, err := s.Stat(ctx, "a/b/two")
		if err != nil || file.Size != 2 || !file.IsTerminal || time.Since(file.Modified) > time.Hour {
			t.Errorf("got %+v, %v", file, err)
		}
		if dir, err := s.Stat(ctx, "a/b"); err != nil || dir.IsTerminal {
			t.Errorf("got %+v, %v", dir, err)
		}
		if err := s.Delete(ctx, "a"); err != nil || s.Exists(ctx, "a/b/one") || s.Exists(ctx, "a") || !s.Exists(ctx, "a_b/x") {
			t.Errorf("after deleting a folder: %v", err)
		}
		if err := s.Delete(ctx, "a"); err != nil {
			t.Errorf("deleting what is gone: %v", err)
		}
	})
}

// What a fleet encrypted, another cannot read, nor is it taken under another name.
func TestSeal(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, Migrations())
	ctx, s := t.Context(), newTestStorage(t, db, testKey)
	if err := s.Store(ctx, "a", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	other := newTestStorage(t, db, bytes.Repeat([]byte{8}, 32))
	if v, err := other.Load(ctx, "a"); err == nil || !strings.Contains(err.Error(), "pki/ca.key") {
		t.Errorf("with another key: %q, %v", v, err)
	}
	if _, err := db.Exec(ctx, `UPDATE acme_data SET name = 'b'`); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Load(ctx, "b"); err == nil {
		t.Errorf("under another name: %q", v)
	}
	if _, err := db.Exec(ctx, `UPDATE acme_data SET value = $1`, []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Load(ctx, "b"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("cut: %q, %v", v, err)
	}
	if _, err := newStorage(db, []byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx, one, two := t.Context(), newTestStorage(t, db, testKey), newTestStorage(t, db, testKey)
		if err := one.Lock(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := two.Lock(short, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("two servers hold one lock: %v", err)
		}
		if err := one.RenewLockLease(ctx, "x", time.Minute); err != nil {
			t.Error(err)
		}
		if err := two.Lock(ctx, "y"); err != nil {
			t.Errorf("another lock: %v", err)
		}
		if err := one.Unlock(ctx, "x"); err != nil {
			t.Error(err)
		}
		if err := two.Lock(ctx, "x"); err != nil {
			t.Errorf("after the unlock: %v", err)
		}
		// A server that died keeps it until its term is over.
		if _, err := db.Exec(ctx, `UPDATE acme_locks SET until_us = 0 WHERE name = 'x'`); err != nil {
			t.Fatal(err)
		}
		if err := one.Lock(ctx, "x"); err != nil {
			t.Errorf("after the term: %v", err)
		}
		if err := two.RenewLockLease(ctx, "x", time.Minute); err == nil {
			t.Error("a lock that was lost is renewed")
		}
		for name, s := range map[string]*storage{"x": one, "y": two} {
			if err := s.Unlock(ctx, name); err != nil {
				t.Error(err)
			}
		}
		if err := one.Unlock(ctx, "x"); err == nil {
			t.Error("what is not locked is unlocked")
		}
	})
}
