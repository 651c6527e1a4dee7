package natsd_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// settings are what the design's table and the limits say about a stream.
type settings struct {
	History    int64
	TTL        time.Duration
	Storage    jetstream.StorageType
	Replicas   int
	Duplicates time.Duration
	Direct     bool
	Rollup     bool
	Discard    jetstream.DiscardPolicy
}

func read(c jetstream.StreamConfig) settings {
	return settings{c.MaxMsgsPerSubject, c.MaxAge, c.Storage, c.Replicas, c.Duplicates, c.AllowDirect, c.AllowRollup, c.Discard}
}

func TestEveryBucketIsMadeAsDesigned(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	bucket := func(history int64, ttl time.Duration) settings {
		dup := 2 * time.Minute
		if ttl > 0 && ttl < dup {
			dup = ttl
		}
		return settings{history, ttl, jetstream.FileStorage, 1, dup, true, true, jetstream.DiscardNew}
	}
	want := map[string]settings{
		"KV_facts":             bucket(5, 0),
		"KV_settings-files":    bucket(3, 0),
		"KV_secrets":           bucket(3, 0),
		"KV_basket":            bucket(1, 0),
		"KV_jobs":              bucket(10, week),
		"KV_job-returns":       bucket(1, week),
		"KV_master-heartbeat":  bucket(1, 15*time.Second),
		"KV_enrollments":       bucket(10, 0),
		"KV_enroll-challenges": bucket(1, 5*time.Minute),
		"KV_state-files":       bucket(3, 0),
		"KV_update-manifests":  bucket(5, 0),
		"KV_update-status":     bucket(1, time.Minute),
		"KV_update-rollouts":   bucket(10, 0),
		"job-events":           {-1, week, jetstream.FileStorage, 1, 2 * time.Minute, true, false, jetstream.DiscardOld},
		"files":                {1, 30 * 24 * time.Hour, jetstream.FileStorage, 1, 2 * time.Minute, true, false, jetstream.DiscardNew},
	}
	change := func(name string, f func(*settings)) {
		s := want[name]
		f(&s)
		want[name] = s
	}
	for _, exact := range []string{"KV_jobs", "KV_enrollments", "KV_enroll-challenges"} {
		change(exact, func(s *settings) { s.Direct = false })
	}
	change("KV_enroll-challenges", func(s *settings) { s.Storage = jetstream.MemoryStorage })
	change("KV_facts", func(s *settings) { s.Rollup = false })
	change("KV_job-returns", func(s *settings) { s.Rollup, s.Discard = false, jetstream.DiscardOld })

	js := startBus(t, t.TempDir()).ensured()
	got := map[string]settings{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		c := info.Config
		got[c.Name] = read(c)
		if c.MaxBytes <= 0 || c.MaxMsgSize <= 0 || c.MaxConsumers <= 0 || !c.DenyDelete {
			t.Errorf("%s is not bounded: bytes %d, message %d, consumers %d, deny delete %v", c.Name, c.MaxBytes, c.MaxMsgSize, c.MaxConsumers, c.DenyDelete)
		}
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}

func TestUnboundedStreamIsRefused(t *testing.T) {
	t.Parallel()
	js := startBus(t, t.TempDir()).ensured()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "endless", Subjects: []string{"endless"}}); err == nil {
		t.Fatal("a stream without a size was made")
	}
}

func TestEnsureCorrectsAndRespects(t *testing.T) {
	t.Parallel()
	js := startBus(t, t.TempDir()).ensured()
	cfg := stream(t, js, "KV_basket")
	cfg.MaxMsgsPerSubject, cfg.MaxBytes = 7, 12<<20
	cfg.Metadata["owner"] = "ops"
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := bus.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	got := stream(t, js, "KV_basket")
	if got.MaxMsgsPerSubject != 1 || got.MaxBytes != 12<<20 || got.Metadata["owner"] != "ops" || got.Metadata["rind.replicas"] != "1" {
		t.Errorf("history %d (want 1), size %d (want the operator's), metadata %v", got.MaxMsgsPerSubject, got.MaxBytes, got.Metadata)
	}
}

func TestEnsureRefusesALossAndRemakesTheRest(t *testing.T) {
	t.Parallel()
	js := startBus(t, t.TempDir()).ensured()
	for _, name := range []string{"KV_master-heartbeat", "KV_enroll-challenges", "KV_update-status"} {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.Ensure(t.Context(), js, 1); err != nil {
		t.Fatalf("after the loss of what is made again: %v", err)
	}
	stream(t, js, "KV_master-heartbeat")

	for _, name := range []string{"KV_secrets", "KV_enrollments", "KV_update-status"} {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	err := bus.Ensure(t.Context(), js, 1)
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "enrollments, secrets") || !strings.Contains(err.Error(), "rind restore") {
		t.Errorf("after a loss: %v", err)
	}
	if _, err := js.Stream(t.Context(), "KV_update-status"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("something was written after a loss: %v", err)
	}
}

func TestKeeperMakesADeletedBucketAgain(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	nc := b.master()
	k := bus.NewKeeper(func() *nats.Conn { return nc }, b.Capacity, slog.New(slog.NewTextHandler(b.log, nil)))
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer k.Stop(t.Context())
	js := b.js(nc)
	if err := js.DeleteStream(t.Context(), "KV_update-status"); err != nil {
		t.Fatal(err)
	}
	b.log.waitFor(t, "it is made again")
	stream(t, js, "KV_update-status")
	if err := js.DeleteStream(t.Context(), "KV_facts"); err != nil {
		t.Fatal(err)
	}
	b.log.waitFor(t, "rind restore")
}

// ensured makes the buckets.
func (b *fleetBus) ensured() jetstream.JetStream {
	b.t.Helper()
	js := b.js(b.master())
	have, err := b.Capacity(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := bus.EnsureWithin(b.t.Context(), js, have); err != nil {
		b.t.Fatal(err)
	}
	return js
}

func stream(t *testing.T, js jetstream.JetStream, name string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s.CachedInfo().Config
}

// TestStartAgainWithLessRoom starts a server again on a disk that has less room
// than its streams have reserved, as when something else has filled it: a share
// of what is free is then so much at least. Nothing is to be corrected either. A
// size that somebody has written too small is refused with what it has to be.
func TestStartAgainWithLessRoom(t *testing.T) {
	t.Parallel()
	dir, cfg := t.TempDir(), testConfig()
	cfg.JetStream.MaxFileStore = "90%"
	first := startBusWith(t, dir, cfg)
	first.ensured()
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.JetStream.MaxFileStore = "1GiB"
	serverTLS, _ := certificate(t)
	err := natsd.New(cfg, natsd.Deps{DataDir: dir, TLS: serverTLS}).Start(t.Context())
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "max_file_store is 1GiB") || !strings.Contains(err.Error(), "have reserved") {
		t.Errorf("a size that is too small: %v", err)
	}
	cfg.JetStream.MaxFileStore = "1%"
	b := startBusWith(t, dir, cfg)
	nc := b.master()
	updates, err := nc.SubscribeSync("$JS.EVENT.ADVISORY.STREAM.UPDATED.>")
	if err != nil {
		t.Fatal(err)
	}
	js := b.js(nc)
	if err := bus.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if msg, err := updates.NextMsg(200 * time.Millisecond); err == nil {
		t.Errorf("a stream was corrected that is as it was made: %s", msg.Data)
	}
	changed := stream(t, js, bus.EventsStream)
	changed.MaxMsgsPerSubject = 7
	if _, err := js.UpdateStream(t.Context(), changed); err != nil {
		t.Errorf("a stream cannot be corrected: %v", err)
	}
	if _, err := updates.NextMsg(10 * time.Second); err != nil {
		t.Errorf("a correction is not told of, so that this test shows nothing: %v", err)
	}
}
