package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/bus"
)

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, store.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		js := newBus(t)
		b := newBench(t, js, db, nil)
		ctx := t.Context()
		data := bytesOf(1, 3*blob.Chunk-7)
		sum := blob.Sum(data)
		begin := blob.Begin{SHA256: sum, Size: int64(len(data)), Name: "app.tar"}
		p, err := b.Begin(ctx, store.People, begin, "anna")
		if err != nil || p != (blob.Progress{Chunks: 3}) {
			t.Fatalf("%+v %v", p, err)
		}
		if _, err := b.Put(ctx, store.People, sum, 1, piece(data, 1)); !errs.Is(err, errs.Conflict) {
			t.Errorf("out of order: %v", err)
		}
		if _, err := b.Put(ctx, store.People, sum, 0, piece(data, 0)[:9]); !errs.Is(err, errs.Invalid) {
			t.Errorf("too short: %v", err)
		}
		if p, err := b.Put(ctx, store.People, sum, 0, piece(data, 0)); err != nil || p.Next != 1 {
			t.Errorf("%+v %v", p, err)
		}
		if _, _, err := b.Read(ctx, store.People, sum, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("what is not complete is read: %v", err)
		}
		if err := b.Done(ctx, store.People, sum); !errs.Is(err, errs.Conflict) {
			t.Errorf("done too early: %v", err)
		}
		// Another server goes on where this one was.
		other := newBench(t, js, db, nil)
		if p, err := other.Begin(ctx, store.People, begin, "bob"); err != nil || p.Next != 1 {
			t.Errorf("%+v %v", p, err)
		}
		other.bring(store.People, data)
		var got []byte
		for n := range 3 {
			h, c, err := b.Read(ctx, store.People, sum, n)
			if err != nil || h.Sum != blob.Sum(c) || h.Size != int64(len(data)) || h.N != n {
				t.Fatalf("%+v %v", h, err)
			}
			got = append(got, c...)
		}
		if !bytes.Equal(got, data) {
			t.Error("something else came back")
		}
		if _, _, err := b.Read(ctx, store.People, sum, 3); !errs.Is(err, errs.Invalid) {
			t.Errorf("a chunk too many: %v", err)
		}
		if p, err := b.Begin(ctx, store.People, begin, "anna"); err != nil || !p.Complete {
			t.Errorf("brought again: %+v %v", p, err)
		}
		empty := b.bring(store.People, nil)
		if h, c, err := b.Read(ctx, store.People, empty, 0); err != nil || len(c) != 0 || h.Size != 0 || h.Sum != empty {
			t.Errorf("an empty file: %+v %v", h, err)
		}
		if err := b.Delete(ctx, store.People, sum); err != nil {
			t.Error(err)
		}
		if _, _, err := b.Read(ctx, store.People, sum, 0); !errs.Is(err, errs.NotFound) || b.messages() != 0 {
			t.Errorf("after its end: %v, %d chunks are left", err, b.messages())
		}
	})
}

// A file that is not the one of its hash never gets to hosts.
func TestAnotherFile(t *testing.T) {
	t.Parallel()
	b := newBench(t, newBus(t), databasetest.Open(t, database.SQLite, store.Migrations()), nil)
	data := bytesOf(2, blob.Chunk+5)
	sum := blob.Sum([]byte("something else"))
	if _, err := b.Begin(t.Context(), store.People, blob.Begin{SHA256: sum, Size: int64(len(data))}, ""); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if _, err := b.Put(t.Context(), store.People, sum, n, piece(data, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Done(t.Context(), store.People, sum); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
	if _, _, err := b.Read(t.Context(), store.People, sum, 0); !errs.Is(err, errs.NotFound) || b.messages() != 0 || b.counted("rind_files_total", "damaged") != 1 {
		t.Errorf("%v, %d chunks are left", err, b.messages())
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, store.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		b := newBench(t, newBus(t), db, small)
		begin := func(owner store.Owner, seed byte, size config.Size) error {
			_, err := b.Begin(t.Context(), owner, blob.Begin{SHA256: blob.Sum([]byte{seed}), Size: int64(size)}, "")
			return err
		}
		for _, tt := range []struct {
			owner store.Owner
			seed  byte
			size  config.Size
			says  string
		}{
			{"peel-a", 1, 2 * config.MiB, "this peel brings (files.peel_max_bytes)"},
			{"peel-a", 1, 600 * config.KiB, ""},
			{"peel-a", 1, 600 * config.KiB, ""}, // it is the same
			{"peel-a", 2, 600 * config.KiB, "this peel brings"},
			{"peel-b", 1, config.MiB, ""},
			{"peel-c", 1, 900 * config.KiB, "half of files.max_bytes"},
			{store.People, 1, 5 * config.MiB, "files.max_bytes"},
			{store.People, 1, 2 * config.MiB, ""},
			{store.People, 2, config.MiB, "files.max_bytes"},
			{"peel-c", 1, 500 * config.KiB, "half of files.max_bytes"},
			{"peel-c", 1, 300 * config.KiB, ""},
		} {
			err := begin(tt.owner, tt.seed, tt.size)
			if (err == nil) != (tt.says == "") || err != nil && (!errs.Is(err, errs.TooLarge) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%q %d of %d bytes: %v", tt.owner, tt.seed, tt.size, err)
			}
		}
		var err error
		for n := 0; n < 201 && err == nil; n++ {
			err = begin("peel-d", byte(n), 0)
		}
		if !errs.Is(err, errs.TooLarge) || !strings.Contains(err.Error(), "200 files are kept") {
			t.Errorf("many small files: %v", err)
		}
		if err := b.Forget(t.Context(), "peel-d"); err != nil {
			t.Error(err)
		}
		if err := begin("peel-d", 1, 0); err != nil {
			t.Errorf("after it was forgotten: %v", err)
		}
	})
}

func TestAge(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, store.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		b := newBench(t, newBus(t), db, func(c *store.Config) { c.MaxAge = 5 * time.Hour })
		ctx := t.Context()
		whole, half := bytesOf(3, 2*blob.Chunk), bytesOf(4, 2*blob.Chunk)
		sum, left := b.bring(store.People, whole), blob.Sum(half)
		if _, err := b.Begin(ctx, "peel-a", blob.Begin{SHA256: left, Size: int64(len(half))}, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Put(ctx, "peel-a", left, 0, piece(half, 0)); err != nil {
			t.Fatal(err)
		}
		sweep := func() {
			t.Helper()
			if err := b.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		sweep()
		if n := b.messages(); n != 3 {
			t.Errorf("%d chunks", n)
		}
		b.pass(2 * time.Hour)
		sweep()
		if n := b.messages(); n != 2 || b.counted("rind_files_total", "abandoned") != 1 {
			t.Errorf("%d chunks; what was begun and left is counted %v times", n, b.counted("rind_files_total", "abandoned"))
		}
		if _, err := b.Put(ctx, "peel-a", left, 1, piece(half, 1)); !errs.Is(err, errs.NotFound) {
			t.Errorf("going on with it: %v", err)
		}
		b.pass(4 * time.Hour)
		if _, _, err := b.Read(ctx, store.People, sum, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("too old: %v", err)
		}
		sweep()
		if n := b.messages(); n != 0 || b.counted("rind_files_total", "expired") != 1 {
			t.Errorf("%d chunks, %v expired", n, b.counted("rind_files_total", "expired"))
		}
		b.bring(store.People, whole) // a new generation
		if _, c, err := b.Read(ctx, store.People, sum, 1); err != nil || !bytes.Equal(c, piece(whole, 1)) {
			t.Errorf("brought again: %v", err)
		}
	})
}

// Somebody empties the stream: what is asked for is gone, and can be brought
// again.
func TestEmptiedStream(t *testing.T) {
	t.Parallel()
	js := newBus(t)
	b := newBench(t, js, databasetest.Open(t, database.SQLite, store.Migrations()), nil)
	data := bytesOf(5, blob.Chunk+1)
	sum := b.bring(store.People, data)
	s, err := js.Stream(t.Context(), bus.FilesStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Read(t.Context(), store.People, sum, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	b.bring(store.People, data)
	if _, c, err := b.Read(t.Context(), store.People, sum, 1); err != nil || !bytes.Equal(c, piece(data, 1)) {
		t.Errorf("%v", err)
	}
}

// TestAnswers: a peel gets what it knows the hash of, brings what is its own,
// and sees nothing of what others bring.
func TestAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, newBus(t), databasetest.Open(t, database.SQLite, store.Migrations()), nil)
	data := bytesOf(6, blob.Chunk+1)
	sum := b.bring(store.People, data)
	secret := bytesOf(7, 1000)
	theirs := b.bring("peel-b", secret)
	ask := func(what string, req any) ([]byte, error) {
		t.Helper()
		q, ok := req.([]byte)
		if !ok {
			q, _ = json.Marshal(req)
		}
		return b.Answers()[what](t.Context(), "peel-a", q)
	}
	answer, err := ask(blob.AskGet, blob.Header{SHA256: sum, N: 1})
	if err != nil {
		t.Fatal(err)
	}
	if h, c, err := blob.Unpack(answer); err != nil || h.Size != int64(len(data)) || !bytes.Equal(c, piece(data, 1)) {
		t.Errorf("%+v %v", h, err)
	}
	for name, req := range map[string]any{
		"another's":    blob.Header{SHA256: theirs},
		"unknown":      blob.Header{SHA256: blob.Sum([]byte("guess"))},
		"all":          blob.Header{SHA256: "*"},
		"wildcard":     blob.Header{SHA256: ">"},
		"path":         blob.Header{SHA256: "../p/peel-b/" + theirs},
		"nothing":      []byte{},
		"past its end": blob.Header{SHA256: sum, N: 2},
		"negative":     blob.Header{SHA256: sum, N: -1},
	} {
		if answer, err := ask(blob.AskGet, req); !errors.Is(err, bus.ErrRefused) {
			t.Errorf("%s: %.40q %v", name, answer, err)
		}
	}
	// What it brings is its own, also when another has brought the same.
	p := blob.Progress{}
	begin := blob.Begin{SHA256: theirs, Size: int64(len(secret))}
	if answer, err = ask(blob.AskBegin, begin); err != nil || json.Unmarshal(answer, &p) != nil || p.Complete || p.Next != 0 {
		t.Errorf("it learns that another has the file: %s %v", answer, err)
	}
	packed, _ := blob.Pack(blob.Header{SHA256: theirs, Sum: blob.Sum(secret)}, secret)
	if answer, err = ask(blob.AskPut, packed); err != nil || json.Unmarshal(answer, &p) != nil || p.Next != 1 {
		t.Errorf("%s %v", answer, err)
	}
	if _, err := ask(blob.AskDone, begin); err != nil {
		t.Error(err)
	}
	if _, c, err := b.Read(t.Context(), "peel-a", theirs, 0); err != nil || !bytes.Equal(c, secret) {
		t.Errorf("%v", err)
	}
	if _, err := ask(blob.AskPut, packed[:len(packed)-1]); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("a damaged chunk: %v", err)
	}
	if _, err := ask(blob.AskBegin, blob.Begin{SHA256: sum, Size: 1 << 50}); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("too much: %v", err)
	}
}

// Many hosts ask for the same chunk: it is read once.
func TestManyAskForTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t, newBus(t), databasetest.Open(t, database.SQLite, store.Migrations()), nil)
	data := bytesOf(8, 2*blob.Chunk)
	sum := b.bring(store.People, data)
	before := b.counted("rind_files_bytes_total", "read")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for n := range 2 {
				if _, c, err := b.Read(t.Context(), store.People, sum, n); err != nil || !bytes.Equal(c, piece(data, n)) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if read := b.counted("rind_files_bytes_total", "read") - before; read != float64(len(data)) {
		t.Errorf("%v bytes were read of the stream, of a file of %d", read, len(data))
	}
}

// A server sends no more than it may in a second.
func TestPaced(t *testing.T) {
	t.Parallel()
	b := newBench(t, newBus(t), databasetest.Open(t, database.SQLite, store.Migrations()), func(c *store.Config) { c.MaxRate = blob.Chunk })
	sum := b.bring(store.People, bytesOf(9, blob.Chunk))
	q, _ := json.Marshal(blob.Header{SHA256: sum})
	sent := 0
	var err error
	for ; err == nil && sent < 100; sent++ { // the clock stands still
		_, err = b.Answers()[blob.AskGet](t.Context(), "peel-a", q)
	}
	if err == nil || errors.Is(err, bus.ErrRefused) || sent > 20 {
		t.Errorf("%d chunks, %v", sent, err)
	}
	b.pass(time.Second)
	if _, err := b.Answers()[blob.AskGet](t.Context(), "peel-a", q); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := store.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*store.Config){
		"age": func(c *store.Config) { c.MaxAge = 15 * 24 * time.Hour }, "rate": func(c *store.Config) { c.MaxRate = 1 }, "size": func(c *store.Config) { c.MaxBytes = -1 },
	} {
		c := store.DefaultConfig()
		if change(&c); c.Validate() == nil {
			t.Errorf("%s: is taken", name)
		}
	}
}
