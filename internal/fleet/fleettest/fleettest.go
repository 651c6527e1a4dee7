// Package fleettest gives tests a real broker with its buckets, and peels that
// connect to it with their own rights.
package fleettest

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// World is a broker, over TLS on a free port, and the server's own connection.
type World struct {
	t   testing.TB
	Dir string // of its data
	Bus *natsd.Server
	NC  *nats.Conn
	JS  jetstream.JetStream

	caPEM []byte

	mu       sync.Mutex
	enrolled []fleet.PeelID
}

// Start starts a broker that keeps its data in a folder, with what is changed
// in its configuration. It is stopped when the test ends, or by Stop.
func Start(t testing.TB, dir string, change ...func(*natsd.Config)) *World {
	t.Helper()
	w := &World{t: t, Dir: dir}
	ca, err := pki.OpenCA(filepath.Join(dir, "pki"))
	w.must(err)
	conf, err := ca.ServerTLS([]string{"127.0.0.1"})
	w.must(err)
	w.caPEM = ca.CertPEM()
	cfg := config()
	for _, fn := range change {
		fn(&cfg)
	}
	w.Bus = natsd.New(cfg, natsd.Deps{Log: Log(), DataDir: dir, TLS: conf})
	w.must(w.Bus.Start(t.Context()))
	t.Cleanup(w.Stop)
	w.connect()
	w.must(bus.Ensure(t.Context(), w.JS, 1))
	return w
}

// Again is a change that has a broker on a port of its own, so that it can be
// stopped and started again where clients look for it.
func Again(t testing.TB) func(*natsd.Config) {
	t.Helper()
	addr := FreeAddr(t)
	return func(c *natsd.Config) { c.Listen = addr }
}

// FreeAddr returns an address where nobody listens.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func config() natsd.Config {
	cfg := natsd.DefaultConfig()
	cfg.Listen, cfg.ReadyTimeout = "127.0.0.1:0", 30*time.Second
	cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
	return cfg
}

func (w *World) connect() {
	w.t.Helper()
	w.NC = w.Connect(w.Bus.ServerUser)
	var err error
	w.JS, err = jetstream.New(w.NC)
	w.must(err)
}

// Signer signs jobs with the fleet's keys.
func (w *World) Signer() *job.Signer {
	w.t.Helper()
	keys := w.Bus.FleetKeys()
	s, err := job.SelfDelegated(keys.Root, keys.Master, time.Now().Add(time.Hour))
	w.must(err)
	return s
}

// Connect connects in the process as one of the broker's users, such as
// Bus.ServerUser or Bus.SystemUser.
func (w *World) Connect(user func() (jwt string, sign func([]byte) ([]byte, error), err error)) *nats.Conn {
	w.t.Helper()
	token, sign, err := user()
	w.must(err)
	nc, err := bus.Connect(w.t.Context(), bus.ConnConfig{InProcess: w.Bus.InProcess(), Once: true, Sign: sign,
		JWT: func() (string, error) { return token, nil }})
	w.must(err)
	w.t.Cleanup(nc.Close)
	return nc
}

// Stop stops the broker. It may be stopped already.
func (w *World) Stop() {
	if w.NC != nil {
		w.NC.Close()
	}
	Stop(w.t, w.Bus)
}

// Stop stops a component, within bounds.
func Stop(t testing.TB, c interface{ Stop(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// Log is a log that nobody reads, unless RIND_TEST_LOG is set.
func Log() *slog.Logger {
	if os.Getenv("RIND_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func (w *World) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Enrolled returns the ids of the peels.
func (w *World) Enrolled(context.Context) ([]fleet.PeelID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.enrolled), nil
}

// Leave takes a peel out of those that are enrolled.
func (w *World) Leave(id fleet.PeelID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enrolled = slices.DeleteFunc(w.enrolled, func(x fleet.PeelID) bool { return x == id })
}
