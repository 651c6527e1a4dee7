package store_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// A bus whose streams were made before there was one of files has reserved its
// room already: the new one takes what is left.
func TestStreamTakesWhatIsLeft(t *testing.T) {
	t.Parallel()
	js := newBus(t)
	ctx := t.Context()
	if err := js.DeleteStream(ctx, bus.FilesStream); err != nil {
		t.Fatal(err)
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "KV_"+bus.JobReturns)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes += info.Limits.MaxStore - int64(info.ReservedStore) - 20<<20
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if err := bus.Ensure(ctx, js, 1); err != nil {
		t.Fatal(err)
	}
	if s, err = js.Stream(ctx, bus.FilesStream); err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().Config.MaxBytes; n < 8<<20 || n > 20<<20 {
		t.Errorf("the stream has room for %d bytes", n)
	}
	// Nor does it start with less room than is configured, and say nothing.
	b := newBench(t, js, databasetest.Open(t, database.SQLite, store.Migrations()), func(c *store.Config) { c.MaxBytes = config.GiB })
	b.bring(store.People, bytesOf(1, 1000))
}

// files.max_bytes gets its room where there is some.
func TestStreamIsEnlarged(t *testing.T) {
	t.Parallel()
	js := newBus(t)
	s, err := js.Stream(t.Context(), bus.FilesStream)
	if err != nil {
		t.Fatal(err)
	}
	more := config.Size(s.CachedInfo().Config.MaxBytes + 10<<20)
	newBench(t, js, databasetest.Open(t, database.SQLite, store.Migrations()), func(c *store.Config) { c.MaxBytes = more })
	if s, err = js.Stream(t.Context(), bus.FilesStream); err != nil || s.CachedInfo().Config.MaxBytes < int64(more) {
		t.Errorf("%d bytes, %v", s.CachedInfo().Config.MaxBytes, err)
	}
}

// Somebody deletes the stream: it is made again, and files can be brought anew.
func TestStreamIsMadeAgain(t *testing.T) {
	t.Parallel()
	js := newBus(t)
	k := bus.NewKeeper(func() *nats.Conn { return js.Conn() }, func(context.Context) (bus.Capacity, error) { return bus.Capacity{Servers: 1}, nil }, slog.New(slog.DiscardHandler))
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Stop(context.Background()) })
	b := newBench(t, js, databasetest.Open(t, database.SQLite, store.Migrations()), nil)
	data := bytesOf(1, 1000)
	b.bring(store.People, data)
	if err := js.DeleteStream(t.Context(), bus.FilesStream); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := js.Stream(t.Context(), bus.FilesStream); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not made again")
		}
	}
	b.bring(store.People, data)
	if _, _, err := b.Read(t.Context(), store.People, b.bring(store.People, data), 0); err != nil {
		t.Error(err)
	}
}
