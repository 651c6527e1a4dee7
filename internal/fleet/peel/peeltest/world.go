// Package peeltest is the suite of a peel's protocol: what a peel does on the
// wire, against the real broker, whatever socket it speaks through. The master
// in it is a small one that can be made to lose and to refuse.
package peeltest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/natsd"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// world is a broker with its keys, over TLS.
type world struct {
	t     *testing.T
	dial  peel.Dialer
	dir   string
	addr  string
	ca    *pki.CA
	bus   *natsd.Server
	sign  *job.Signer
	heard *heard
}

func newWorld(t *testing.T, dial peel.Dialer) *world {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dial: dial, dir: t.TempDir(), addr: l.Addr().String()}
	l.Close()
	if w.ca, err = pki.OpenCA(w.dir + "/pki"); err != nil {
		t.Fatal(err)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	keys := w.bus.FleetKeys()
	if w.sign, err = job.SelfDelegated(keys.Root, keys.Master, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return w
}

// start starts the broker, again on the same port and with the same keys.
func (w *world) start() {
	w.t.Helper()
	tlsConfig, err := w.ca.ServerTLS([]string{"127.0.0.1"})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := natsd.DefaultConfig()
	cfg.Listen, cfg.ReadyTimeout = w.addr, 30*time.Second
	cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
	w.bus = natsd.New(cfg, natsd.Deps{Log: slog.New(slog.DiscardHandler), DataDir: w.dir, TLS: tlsConfig})
	if err := w.bus.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	if w.heard == nil {
		w.heard = newHeard()
	}
	w.listen()
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.bus.Stop(ctx); err != nil {
		w.t.Errorf("stopping the broker: %v", err)
	}
}

// connect connects as the server does. The connection ends with the test.
func (w *world) connect(user func() (string, func([]byte) ([]byte, error), error)) *nats.Conn {
	w.t.Helper()
	token, sign, err := user()
	if err != nil {
		w.t.Fatal(err)
	}
	nc, err := bus.Connect(w.t.Context(), bus.ConnConfig{InProcess: w.bus.InProcess(), Once: true, Sign: sign,
		JWT: func() (string, error) { return token, nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return nc
}

// subject is the peel of the suite.
const subject = fleet.PeelID("suite-1")

// creds are the credentials of a peel of the test.
type creds struct {
	w   *world
	id  fleet.PeelID
	key nkeys.KeyPair

	mu      sync.Mutex
	jwt     string
	renewAt time.Time
	renewed int
}

func (w *world) enroll() *creds {
	w.t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		w.t.Fatal(err)
	}
	c := &creds{w: w, id: subject, key: key, renewAt: time.Now().Add(time.Hour)}
	if err := c.issue(); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (c *creds) public() string {
	pub, err := c.key.PublicKey()
	if err != nil {
		c.w.t.Error(err)
	}
	return pub
}

func (c *creds) issue() error {
	token, err := c.w.bus.IssuePeel(c.public(), c.id, time.Hour)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jwt = token
	return err
}

// Who returns the id and the fleet's root key.
func (c *creds) Who() (fleet.PeelID, ed25519.PublicKey) {
	return c.id, c.w.bus.FleetKeys().Root.Public().(ed25519.PublicKey)
}

// BusConfig is how to connect.
func (c *creds) BusConfig(log *slog.Logger) (bus.ConnConfig, error) {
	tlsConfig, err := pki.PoolTLS(c.w.ca.CertPEM())
	return bus.ConnConfig{
		URLs: []string{"tls://" + c.w.addr}, TLS: tlsConfig, Name: string(c.id), InboxPrefix: bus.InboxPrefix(c.id), Log: log, Sign: c.key.Sign,
		JWT: func() (string, error) { c.mu.Lock(); defer c.mu.Unlock(); return c.jwt, nil },
	}, err
}

// RenewAt is when the test wants it.
func (c *creds) RenewAt() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.renewAt }

// Renew issues a new permission.
func (c *creds) Renew(context.Context) error {
	c.mu.Lock()
	c.renewAt = time.Now().Add(time.Hour)
	c.renewed++
	c.mu.Unlock()
	return c.issue()
}

// start starts a peel with credentials.
func (c *creds) start(dir string, extra ...function.Function) (*peel.Peel, *prometheus.Registry) {
	t := c.w.t
	t.Helper()
	reg := prometheus.NewRegistry()
	p := peel.New(peel.Config{StateDir: dir, ReconnectWait: 100 * time.Millisecond}, peel.Deps{
		Credentials: c, Version: "suite", Metrics: reg, Dial: c.w.dial,
		Functions: append(function.All(), extra...),
		Facts:     func(context.Context) (fleet.Facts, error) { return fleet.Facts{Hostname: "suite", OS: "Debian"}, nil },
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Errorf("stopping the peel: %v", err)
		}
	})
	eventually(t, "the peel connects", func() error {
		if !p.Connected() {
			return errors.New("it is not connected")
		}
		return nil
	})
	return p, reg
}

// eventually asks until fn has no complaint, for a time that is long only when
// it fails.
func eventually(t *testing.T, what string, fn func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// count reads a counter or gauge, with the value of its only label.
func count(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "rind_peel_"+name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}
