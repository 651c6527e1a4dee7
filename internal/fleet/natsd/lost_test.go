package natsd_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// keeper starts a keeper of the buckets that remembers in a file.
func (b *fleetBus) keeper(file string) (*bus.Keeper, error) {
	nc := b.master()
	k := bus.NewKeeper(func() *nats.Conn { return nc }, b.Capacity, slog.New(slog.NewTextHandler(b.log, nil)))
	k.Remember(file)
	return k, k.Start(b.t.Context())
}

// Whichever bucket somebody deletes while the server runs: one that holds
// nothing of value is made again, of any other it is said that it is gone and
// what to do, and it is never made anew and empty.
func TestEveryDeletedBucketIsNoticed(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	k, err := b.keeper(filepath.Join(t.TempDir(), "made"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Stop(t.Context())
	js := b.js(b.master())
	if err := k.Check(t.Context()); err != nil {
		t.Fatalf("with all of them: %v", err)
	}
	for _, name := range append(bucketNames(), bus.EventsStream) {
		stream := "KV_" + name
		if name == bus.EventsStream {
			stream = name
		}
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		if err := js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		if remade(name) {
			b.log.waitFor(t, "it is made again\" bucket="+name)
			if _, err := js.Stream(t.Context(), stream); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		err = k.Check(t.Context())
		if !errors.Is(err, bus.ErrLost) || !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "rind restore") {
			t.Errorf("%s: Check says %v", name, err)
		}
		b.log.waitFor(t, "bucket="+name)
		if err := bus.Ensure(t.Context(), js, 1); !errors.Is(err, bus.ErrLost) {
			t.Errorf("%s: another start says %v", name, err)
		}
		if _, err := js.Stream(t.Context(), stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("%s was made anew, and is empty (%v)", name, err)
		}
		if _, err := js.CreateStream(t.Context(), cfg); err != nil { // as a restore does
			t.Fatal(err)
		}
		if err := k.Check(t.Context()); err != nil {
			t.Errorf("%s is back: %v", name, err)
		}
	}
}

func bucketNames() []string {
	var names []string
	for _, b := range bus.Buckets() {
		names = append(names, b.Name)
	}
	return names
}

func remade(name string) bool {
	for _, b := range bus.Buckets() {
		if b.Name == name {
			return b.Remade
		}
	}
	return false
}

// When all of them are gone, no bucket is left that knows of the others.
func TestALossOfEverythingIsNoFreshStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "made")
	b := startBus(t, dir)
	k, err := b.keeper(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	js := b.js(b.master())
	for name := range js.StreamNames(t.Context()).Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.keeper(file)
	if !errors.Is(err, bus.ErrLost) || !strings.Contains(err.Error(), bus.Enrollments) || !strings.Contains(err.Error(), "rind restore") || !strings.Contains(err.Error(), file) {
		t.Fatalf("the next start says %v", err)
	}
	if _, err := js.Stream(t.Context(), "KV_"+bus.Enrollments); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("an empty bucket of enrollments was made (%v)", err)
	}
	// A person can decide that a fleet begins here.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	k, err = b.keeper(file)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Stop(t.Context())
	if err := k.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A store that cannot hold the buckets is refused with what to change.
func TestTooSmallAStore(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.JetStream.MaxFileStore = "8MiB"
	b := startBusWith(t, t.TempDir(), cfg)
	err := bus.Ensure(t.Context(), b.js(b.master()), 1)
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "nats.jetstream.max_file_store") {
		t.Errorf("got %v", err)
	}
}

// When everything is deleted while the server runs, what holds nothing of value
// is made again, and nothing else: an empty bucket of enrollments would look
// like a fleet that nobody has joined.
func TestNothingElseIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	k, err := b.keeper(filepath.Join(t.TempDir(), "made"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Stop(t.Context())
	js := b.js(b.master())
	for name := range js.StreamNames(t.Context()).Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(bucketNames(), bus.FilesStream) {
		if remade(name) || name == bus.FilesStream {
			b.log.waitFor(t, "it is made again\" bucket="+name)
		}
	}
	for name := range js.StreamNames(t.Context()).Name() {
		if name := bus.NameOf(name); !remade(name) && name != bus.FilesStream {
			t.Errorf("%s was made anew, and is empty", name)
		}
	}
	if err := k.Check(t.Context()); !errors.Is(err, bus.ErrLost) {
		t.Errorf("Check says %v", err)
	}
}
