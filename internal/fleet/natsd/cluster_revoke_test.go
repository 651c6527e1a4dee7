package natsd_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// refusedBy reports whether the server refuses the key's connection.
func refusedBy(b *fleetBus, kp nkeys.KeyPair) bool {
	nc, err := bus.Connect(b.t.Context(), b.peelConfig("web-01", kp))
	if err == nil {
		nc.Close()
	}
	return errs.Is(err, errs.Unauthorized)
}

// everywhere waits until all servers that run refuse the key, or none does.
func (c *cluster) everywhere(kp nkeys.KeyPair, refused bool) {
	c.t.Helper()
	eventually(c.t, "every server says the same about the key", func() bool {
		for _, b := range c.servers {
			if b != nil && refusedBy(b, kp) != refused {
				return false
			}
		}
		return true
	})
}

func TestRevokedPeelLosesItsConnectionOnAnyServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 1)
	c.startAll()
	kp, pub := key(t)
	gone := make(chan struct{}, 16)
	cfg := c.servers[2].peelConfig("web-01", kp)
	cfg.OnDisconnect = func(*nats.Conn, error) { gone <- struct{}{} }
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := c.servers[0].Revoke(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		t.Fatal("still connected to the third server")
	}
	c.everywhere(kp, true)
	if err := c.servers[1].Unrevoke(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	c.everywhere(kp, false)
}

func TestServerThatWasAwayUndoesNoRevocation(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.startAll()
	first, firstKey := key(t)
	second, secondKey := key(t)
	c.stop(1)
	if err := c.servers[0].Revoke(t.Context(), firstKey); err != nil {
		t.Fatal(err)
	}
	// It comes back alone, with the file that it had, and revokes another one,
	// so that what it signs is newer than what it does not know.
	c.stop(0)
	time.Sleep(1100 * time.Millisecond) // a signature's time has full seconds
	b := c.start(1)
	if refusedBy(b, first) {
		t.Fatal("it knows already; this test shows nothing")
	}
	if err := b.Revoke(t.Context(), secondKey); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	c.everywhere(first, true)
	c.everywhere(second, true)
	for i := range c.dirs {
		c.stop(i)
	}
	for i := range c.dirs {
		c.start(i)
		if !refusedBy(c.servers[i], first) || !refusedBy(c.servers[i], second) {
			t.Errorf("server %d forgot a revocation over its restart", i)
		}
	}
}

func TestRestartSignsNothingAnew(t *testing.T) {
	t.Parallel()
	for _, clustered := range []bool{false, true} {
		dir := t.TempDir()
		signed := func() string {
			if clustered {
				c := newCluster(t, 1, 1)
				c.dirs[0] = dir
				c.start(0)
				c.stop(0)
			} else {
				_ = startBus(t, dir).Stop(context.Background())
			}
			token, err := os.ReadFile(filepath.Join(dir, "keys", "account.jwt"))
			if err != nil {
				t.Fatal(err)
			}
			accounts, err := filepath.Glob(filepath.Join(dir, "bus", "accounts", "*.jwt"))
			if err != nil || len(accounts) != 2 {
				t.Fatalf("accounts %v, %v", accounts, err)
			}
			for _, f := range accounts {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				token = append(token, text...)
			}
			return string(token)
		}
		before := signed()
		time.Sleep(1100 * time.Millisecond) // a signature's time has full seconds
		if signed() != before {
			t.Errorf("clustered %v: an account was signed again though nothing changed", clustered)
		}
	}
}

func TestRouteNeedsACertificateForRoutes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.startAll()
	addr := c.cfgs[0].Cluster.Listen
	server, route, _ := c.tls()
	strange, err := pki.OpenCA(filepath.Join(t.TempDir(), "pki"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := strange.RouteTLS()
	if err != nil {
		t.Fatal(err)
	}
	plain := route.Clone()
	plain.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return server.GetCertificate(nil) }
	none := route.Clone()
	none.GetClientCertificate = nil
	foreignCert := route.Clone()
	foreignCert.GetClientCertificate = foreign.GetClientCertificate
	for name, test := range map[string]struct {
		conf *tls.Config
		want bool
	}{
		"a route's": {route, true}, "a server's for its clients": {plain, false},
		"none": {none, false}, "another fleet's": {foreignCert, false}, "a fleet that trusts another CA": {foreign, false},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		secure := tls.Client(conn, test.conf)
		_, err = secure.Read(make([]byte, 16)) // the server greets, or ends it
		if (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
		_ = conn.Close()
	}
}
