package master_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// newCluster makes a world whose broker has two more servers beside it.
func newCluster(t *testing.T) (*world, []*natsd.Server) {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	ca, err := pki.OpenCA(filepath.Join(w.dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.ServerTLS([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	route, err := ca.RouteTLS()
	if err != nil {
		t.Fatal(err)
	}
	w.caPEM = ca.CertPEM()
	first := freePort(t)
	var all []*natsd.Server
	for i := range 3 {
		cfg := natsd.DefaultConfig()
		cfg.Listen, cfg.ReadyTimeout, cfg.Cluster.Listen = "127.0.0.1:0", 30*time.Second, "127.0.0.1:0"
		cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
		dir := w.dir
		if i == 0 {
			cfg.Cluster.Listen = first
		} else {
			cfg.JetStream.Enabled, cfg.Cluster.Routes, dir = false, []string{first}, t.TempDir()
			copyKeys(t, w.dir, dir)
		}
		s := natsd.New(cfg, natsd.Deps{Log: testLog(), DataDir: dir, TLS: server, RouteTLS: route})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, s) })
		all = append(all, s)
	}
	w.bus = all[0]
	if err := w.bus.WaitLeader(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.nc, w.sys = w.connect(w.bus.ServerUser), w.connect(w.bus.SystemUser)
	if w.js, err = jetstream.New(w.nc); err != nil {
		t.Fatal(err)
	}
	have, err := w.bus.Capacity(t.Context())
	if err == nil {
		err = bus.EnsureWithin(t.Context(), w.js, have)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := w.bus.FleetKeys()
	if w.sign, err = job.SelfDelegated(keys.Root, keys.Master, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return w, all
}

func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "keys", "*"))
	if err == nil {
		err = os.MkdirAll(filepath.Join(to, "keys"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "keys", filepath.Base(f)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// connectTo connects as the peel to an address, and does not come back.
func (c *creds) connectTo(t *testing.T, addr string) *nats.Conn {
	t.Helper()
	cfg, err := c.BusConfig(testLog())
	if err != nil {
		t.Fatal(err)
	}
	cfg.URLs, cfg.Once = []string{"tls://" + addr}, true
	cfg.OnDisconnect = func(nc *nats.Conn, _ error) { go nc.Close() } // it was told of the other servers
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// until polls a peel's presence, and returns how long that took.
func until(t *testing.T, m *master.Master, id fleet.PeelID, want fleet.Presence, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		p, err := m.Peel(t.Context(), id)
		if err == nil && p.Presence == want {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("%s is %s after %s, not %s (%v)", id, p.Presence, limit, want, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPresenceOnThreeServers(t *testing.T) {
	t.Parallel()
	w, all := newCluster(t)
	m, _ := w.master("one")
	for i, s := range all {
		id := fleet.PeelID(fmt.Sprintf("web-%d", i))
		nc := w.enroll(id).connectTo(t, s.Addr())
		t.Logf("server %d: connected after %s", i, until(t, m, id, fleet.Connected, 10*time.Second))
		nc.Close()
		took := until(t, m, id, fleet.Away, 10*time.Second)
		t.Logf("server %d: away after %s", i, took)
		if took > 2*time.Second {
			t.Errorf("server %d: a closed connection was seen after %s", i, took)
		}
	}
}

func TestPresenceWhenAServerDies(t *testing.T) {
	t.Parallel()
	w, all := newCluster(t)
	m, _ := w.master("one")
	w.enroll("stays").connectTo(t, all[1].Addr())
	w.enroll("goes").connectTo(t, all[2].Addr())
	until(t, m, "stays", fleet.Connected, 10*time.Second)
	until(t, m, "goes", fleet.Connected, 10*time.Second)
	stop(t, all[2])
	t.Logf("away after %s", until(t, m, "goes", fleet.Away, time.Minute))
	if p, err := m.Peel(t.Context(), "stays"); err != nil || p.Presence != fleet.Connected {
		t.Errorf("the peel on another server is %s, %v", p.Presence, err)
	}
}

// cutter passes bytes on until it is cut; then both sides hear nothing more.
type cutter struct {
	net.Listener
	mu  sync.Mutex
	cut bool
}

func cutterTo(t *testing.T, addr string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			t.Cleanup(func() { _ = in.Close(); _ = out.Close() })
			go c.pass(in, out)
			go c.pass(out, in)
		}
	}()
	return c
}

func (c *cutter) pass(from io.Reader, to io.Writer) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		cut := c.cut
		c.mu.Unlock()
		if err != nil && !errors.Is(err, io.EOF) || n == 0 && err != nil {
			return
		}
		if cut {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestPresenceOfACutConnection(t *testing.T) {
	t.Parallel()
	w, all := newCluster(t)
	m, _ := w.master("one")
	c := cutterTo(t, all[2].Addr())
	nc := w.enroll("web").connectTo(t, c.Addr().String())
	until(t, m, "web", fleet.Connected, 10*time.Second)
	time.Sleep(3 * time.Second)
	if err := nc.Publish(bus.HeartbeatSubject("web"), []byte(`{"v":"test"}`)); err != nil { // the server asks later who was just heard
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.cut = true
	c.mu.Unlock()
	took := until(t, m, "web", fleet.Away, 90*time.Second)
	t.Logf("away after %s", took)
	if took > time.Minute {
		t.Errorf("a cut connection was seen after %s", took)
	}
}
