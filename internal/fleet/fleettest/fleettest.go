// Package fleettest gives tests a real broker with its buckets, and peels that
// connect to it with their own rights.
package fleettest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// World is a broker, over TLS on a free port, and the server's own connection.
type World struct {
	t     testing.TB
	Bus   *natsd.Server
	NC    *nats.Conn
	JS    jetstream.JetStream
	caPEM []byte

	mu       sync.Mutex
	enrolled []fleet.PeelID
}

// Start starts a broker that keeps its data in a folder. It is stopped when the
// test ends, or by Stop.
func Start(t testing.TB, dir string) *World {
	t.Helper()
	w := &World{t: t}
	ca, err := pki.OpenCA(dir + "/pki")
	w.must(err)
	conf, err := ca.ServerTLS([]string{"127.0.0.1"})
	w.must(err)
	w.caPEM = ca.CertPEM()
	cfg := natsd.DefaultConfig()
	cfg.Listen, cfg.ReadyTimeout = "127.0.0.1:0", 30*time.Second
	cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
	w.Bus = natsd.New(cfg, natsd.Deps{Log: Log(), DataDir: dir, TLS: conf})
	w.must(w.Bus.Start(t.Context()))
	t.Cleanup(w.Stop)
	w.NC = w.Connect(w.Bus.ServerUser)
	w.JS, err = jetstream.New(w.NC)
	w.must(err)
	w.must(bus.Ensure(t.Context(), w.JS, 1))
	return w
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

// Log is a log that nobody reads.
func Log() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

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

// Enroll gives a peel its rights.
func (w *World) Enroll(id fleet.PeelID) *Credentials {
	w.t.Helper()
	key, err := nkeys.CreateUser()
	w.must(err)
	pub, err := key.PublicKey()
	w.must(err)
	token, err := w.Bus.IssuePeel(pub, id, time.Hour)
	w.must(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.enrolled, id) {
		w.enrolled = append(w.enrolled, id)
	}
	return &Credentials{w: w, id: id, key: key, token: token}
}

// Credentials are those of an enrolled peel, for the peel's runtime.
type Credentials struct {
	w     *World
	id    fleet.PeelID
	key   nkeys.KeyPair
	token string
}

// Who returns the id and the fleet's root key.
func (c *Credentials) Who() (fleet.PeelID, ed25519.PublicKey) {
	return c.id, c.w.Bus.FleetKeys().Root.Public().(ed25519.PublicKey)
}

// BusConfig says how to connect.
func (c *Credentials) BusConfig(log *slog.Logger) (bus.ConnConfig, error) {
	conf, err := pki.PoolTLS(c.w.caPEM)
	return bus.ConnConfig{URLs: []string{"tls://" + c.w.Bus.Addr()}, TLS: conf, Name: string(c.id), InboxPrefix: bus.InboxPrefix(c.id), Log: log,
		Sign: c.key.Sign, JWT: func() (string, error) { return c.token, nil }}, err
}

// RenewAt is after the test.
func (*Credentials) RenewAt() time.Time { return time.Now().Add(time.Hour) }

// Renew is not asked for.
func (*Credentials) Renew(context.Context) error { return errors.New("a test does not renew") }

// Peel enrolls a peel and connects it.
func (w *World) Peel(id fleet.PeelID) *Peel {
	w.t.Helper()
	cfg, err := w.Enroll(id).BusConfig(Log())
	w.must(err)
	cfg.Once = true
	nc, err := bus.Connect(w.t.Context(), cfg)
	w.must(err)
	w.t.Cleanup(nc.Close)
	return &Peel{ID: id, NC: nc}
}

// Peel is a peel's connection, which asks as the peel's runtime does.
type Peel struct {
	ID fleet.PeelID
	NC *nats.Conn
}

// Ask asks the masters until one answers or refuses.
func (p *Peel) Ask(ctx context.Context, what string, data []byte) ([]byte, error) {
	return p.until(ctx, bus.AskSubject(p.ID, what), data)
}

// Event tells the masters of an event.
func (p *Peel) Event(ctx context.Context, name string, data []byte) error {
	_, err := p.until(ctx, bus.EventSubject(p.ID, name), data)
	return err
}

func (p *Peel) until(ctx context.Context, subject string, data []byte) ([]byte, error) {
	for {
		answer, err := Ask(ctx, p.NC, subject, data, 12*time.Second)
		if err == nil || errors.Is(err, bus.ErrRefused) || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Eventually asks until fn has no complaint, for a time that is long only when
// it fails.
func Eventually(t testing.TB, what string, fn func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
