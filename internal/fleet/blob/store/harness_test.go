package store_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// newBus starts a broker with its streams.
func newBus(t *testing.T) jetstream.JetStream {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.OpenCA(dir + "/pki")
	if err != nil {
		t.Fatal(err)
	}
	tls, err := ca.ServerTLS([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := natsd.DefaultConfig()
	cfg.Listen, cfg.ReadyTimeout = "127.0.0.1:0", 30*time.Second
	cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
	daemon := natsd.New(cfg, natsd.Deps{Log: slog.New(slog.DiscardHandler), DataDir: dir, TLS: tls})
	if err := daemon.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := daemon.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	token, sign, err := daemon.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	nc, err := bus.Connect(t.Context(), bus.ConnConfig{InProcess: daemon.InProcess(), Once: true, Sign: sign, JWT: func() (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	return js
}

// bench is a store with a clock of its own.
type bench struct {
	*store.Store
	t   *testing.T
	js  jetstream.JetStream
	reg *prometheus.Registry

	mu  sync.Mutex
	now time.Time
}

func newBench(t *testing.T, js jetstream.JetStream, db *database.DB, change func(*store.Config)) *bench {
	t.Helper()
	b := &bench{t: t, js: js, reg: prometheus.NewRegistry(), now: time.Now()}
	cfg := store.DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	var err error
	b.Store, err = store.New(cfg, store.Deps{DB: db, JS: func() jetstream.JetStream { return js }, Metrics: b.reg, Now: func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// bytesOf are random bytes, the same for the same seed.
func bytesOf(seed uint64, n int) []byte {
	out := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = src.Read(out)
	return out
}

// piece is a chunk of a file.
func piece(data []byte, n int) []byte {
	return data[n*blob.Chunk : min((n+1)*blob.Chunk, len(data))]
}

// bring brings a whole file.
func (b *bench) bring(owner store.Owner, data []byte) string {
	b.t.Helper()
	sum := blob.Sum(data)
	p, err := b.Begin(b.t.Context(), owner, blob.Begin{SHA256: sum, Size: int64(len(data))}, "anna")
	for err == nil && !p.Complete && p.Next < p.Chunks {
		p, err = b.Put(b.t.Context(), owner, sum, p.Next, piece(data, p.Next))
	}
	if err == nil {
		err = b.Done(b.t.Context(), owner, sum)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return sum
}

// messages is how many chunks the stream has.
func (b *bench) messages() uint64 {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), bus.FilesStream)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func (b *bench) counted(name, label string) float64 {
	b.t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func small(c *store.Config) {
	c.MaxBytes, c.PeelMaxBytes = 4*config.MiB, config.MiB
}
