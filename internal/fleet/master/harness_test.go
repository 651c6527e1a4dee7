package master_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/natsd"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// world is a broker with its keys, over TLS on a free port.
type world struct {
	t     *testing.T
	dir   string
	bus   *natsd.Server
	caPEM []byte
	nc    *nats.Conn
	js    jetstream.JetStream
	sys   *nats.Conn
	sign  *job.Signer

	mu       sync.Mutex
	enrolled []fleet.PeelID
}

func newWorld(t *testing.T) *world { t.Helper(); return newWorldOn(t, "127.0.0.1:0") }

// freePort returns an address that a broker can be started on again.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newWorldOn(t *testing.T, listen string) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), listen, nil)
}

// newWorldIn takes a folder for its data, and what to change in the broker's
// configuration.
func newWorldIn(t *testing.T, dir, listen string, change func(*natsd.Config)) *world {
	t.Helper()
	w := &world{t: t, dir: dir}
	ca, err := pki.OpenCA(w.dir + "/pki")
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := ca.ServerTLS([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	w.caPEM = ca.CertPEM()
	cfg := natsd.DefaultConfig()
	cfg.Listen, cfg.ReadyTimeout = listen, 30*time.Second
	cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
	if change != nil {
		change(&cfg)
	}
	w.bus = natsd.New(cfg, natsd.Deps{Log: testLog(), DataDir: w.dir, TLS: tlsConfig})
	if err := w.bus.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, w.bus) })
	w.nc, w.sys = w.connect(w.bus.ServerUser), w.connect(w.bus.SystemUser)
	if w.js, err = jetstream.New(w.nc); err != nil {
		t.Fatal(err)
	}
	if err := bus.Ensure(t.Context(), w.js, 1); err != nil {
		t.Fatal(err)
	}
	keys := w.bus.FleetKeys()
	if w.sign, err = job.SelfDelegated(keys.Root, keys.Master, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return w
}

type stopper interface{ Stop(context.Context) error }

func stop(t *testing.T, s stopper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func testLog() *slog.Logger {
	if os.Getenv("RIND_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

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

// master starts a master.
func (w *world) master(name string) (*master.Master, *prometheus.Registry) {
	w.t.Helper()
	return w.masterOn(name, w.nc, w.sys)
}

// masterOn starts a master on connections of its own.
func (w *world) masterOn(name string, nc, sys *nats.Conn) (*master.Master, *prometheus.Registry) {
	w.t.Helper()
	return w.masterAs(master.Config{Name: name}, nc, sys)
}

func (w *world) masterAs(cfg master.Config, nc, sys *nats.Conn) (*master.Master, *prometheus.Registry) {
	w.t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	m := master.New(cfg, master.Deps{
		Log: testLog(), Signer: w.sign, Metrics: reg, Version: "test",
		NC: func() *nats.Conn { return nc }, JS: func() jetstream.JetStream { return js }, System: func() *nats.Conn { return sys },
		Enrolled: func(context.Context) ([]fleet.PeelID, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.enrolled), nil
		},
	})
	if err := m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(w.t, m) })
	return m, reg
}

// creds are the credentials of a peel that was enrolled in the test.
type creds struct {
	w    *world
	id   fleet.PeelID
	key  nkeys.KeyPair
	life time.Duration

	mu      sync.Mutex
	jwt     string
	renewAt time.Time
	renewed int
}

func (w *world) enroll(id fleet.PeelID) *creds {
	w.t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		w.t.Fatal(err)
	}
	c := &creds{w: w, id: id, key: key, life: time.Hour, renewAt: time.Now().Add(time.Hour)}
	if err := c.issue(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.enrolled = append(w.enrolled, id)
	w.mu.Unlock()
	return c
}

func (c *creds) issue() error {
	pub, err := c.key.PublicKey()
	if err != nil {
		return err
	}
	token, err := c.w.bus.IssuePeel(pub, c.id, c.life)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jwt = token
	return err
}

func (c *creds) Who() (fleet.PeelID, ed25519.PublicKey) {
	return c.id, c.w.bus.FleetKeys().Root.Public().(ed25519.PublicKey)
}

func (c *creds) BusConfig(log *slog.Logger) (bus.ConnConfig, error) {
	tlsConfig, err := pki.PoolTLS(c.w.caPEM)
	return bus.ConnConfig{
		URLs: []string{"tls://" + c.w.bus.Addr()}, TLS: tlsConfig, Name: string(c.id), InboxPrefix: bus.InboxPrefix(c.id), Log: log, Sign: c.key.Sign,
		JWT: func() (string, error) { c.mu.Lock(); defer c.mu.Unlock(); return c.jwt, nil },
	}, err
}

func (c *creds) RenewAt() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.renewAt }

func (c *creds) Renew(context.Context) error {
	c.mu.Lock()
	c.renewAt = time.Now().Add(time.Hour)
	c.renewed++
	c.mu.Unlock()
	return c.issue()
}

// peel starts a peel whose state is kept in dir, and waits until it is there.
func (w *world) peel(c *creds, dir string, extra ...function.Function) (*peel.Peel, *prometheus.Registry) {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	p := peel.New(peel.Config{StateDir: dir, ReconnectWait: 100 * time.Millisecond}, peel.Deps{
		Log: testLog(), Credentials: c, Version: "test", Metrics: reg, Functions: append(function.All(), extra...)})
	if err := p.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(w.t, p) })
	eventually(w.t, fmt.Sprintf("%s connects", c.id), func() error {
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
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func online(m *master.Master, n int) func() error {
	return func() error {
		all, err := m.Peels(context.Background(), master.PeelQuery{Limit: 1000})
		if err != nil {
			return err
		}
		got := 0
		for _, p := range all {
			if p.Presence == fleet.Connected {
				got++
			}
		}
		if got != n {
			return fmt.Errorf("%d of %d peels are connected, want %d", got, len(all), n)
		}
		return nil
	}
}

// finish runs a job and follows it to its end.
func finish(t *testing.T, m *master.Master, req fleet.JobRequest) (fleet.Job, map[fleet.PeelID]fleet.Return) {
	t.Helper()
	j, err := m.Run(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return follow(t, m, j.JID)
}

func follow(t *testing.T, m *master.Master, jid string) (fleet.Job, map[fleet.PeelID]fleet.Return) {
	t.Helper()
	events, err := m.Watch(t.Context(), jid)
	if err != nil {
		t.Fatal(err)
	}
	returns := map[fleet.PeelID]fleet.Return{}
	for e := range events {
		if e.Done != nil {
			if _, more := <-events; more {
				t.Error("an event came after the last")
			}
			return *e.Done, returns
		}
		if e.Step != nil {
			continue
		}
		if _, twice := returns[e.Return.Peel]; twice {
			t.Errorf("%s was shown twice", e.Return.Peel)
		}
		returns[e.Return.Peel] = *e.Return
	}
	t.Fatal("the events ended without the job's end")
	return fleet.Job{}, nil
}

// counter reads a counter, with the value of its only label.
func counter(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.GetMetric() {
			if label == "" || len(s.GetLabel()) == 1 && s.GetLabel()[0].GetValue() == label {
				return s.GetCounter().GetValue() + s.GetGauge().GetValue()
			}
		}
	}
	return 0
}
