package master_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

func newCluster(t *testing.T) (*world, []*natsd.Server) {
	t.Helper()
	w, all := fleettest.Cluster(t)
	return worldOf(t, w), all
}

// connectTo connects as the peel to an address, and does not come back.
func connectTo(t *testing.T, c *fleettest.Credentials, addr string) *nats.Conn {
	t.Helper()
	cfg, err := c.BusConfig(fleettest.Log())
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
		nc := connectTo(t, w.Enroll(id), s.Addr())
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
	connectTo(t, w.Enroll("stays"), all[1].Addr())
	connectTo(t, w.Enroll("goes"), all[2].Addr())
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
	nc := connectTo(t, w.Enroll("web"), c.Addr().String())
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
