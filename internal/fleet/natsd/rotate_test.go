package natsd_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// issuer is the key that signed a permission.
func issuer(t *testing.T, token string) string {
	t.Helper()
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	return claims.Issuer
}

// TestTheSigningKeyIsRotatedUnderARunningFleet: no connection is closed by it,
// permissions from before are good until they expire, new ones are under the
// new key, and the old key is dropped when it has signed nothing that lives.
func TestTheSigningKeyIsRotatedUnderARunningFleet(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	serverTLS, clientTLS := certificate(t)
	b := &fleetBus{t: t, client: clientTLS, log: &logBuffer{}}
	b.Server = natsd.New(testConfig(), natsd.Deps{Log: slog.New(slog.NewTextHandler(b.log, nil)), DataDir: t.TempDir(), TLS: serverTLS,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(context.Background()) })
	b.ensured()
	var lost atomic.Int64
	sys := b.local(b.SystemUser)
	if _, err := sys.Subscribe("$SYS.ACCOUNT.*.DISCONNECT", func(m *nats.Msg) {
		if strings.Contains(string(m.Data), `"peel-`) {
			lost.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := sys.Flush(); err != nil {
		t.Fatal(err)
	}
	const peels = 30
	conns, keys, tokens := map[fleet.PeelID]*nats.Conn{}, map[fleet.PeelID]nkeys.KeyPair{}, map[fleet.PeelID]string{}
	for n := range peels {
		id := fleet.PeelID("peel-" + string(rune('a'+n%26)) + string(rune('a'+n/26)))
		kp, _ := key(t)
		cfg := b.peelConfig(id, kp)
		cfg.OnDisconnect = func(*nats.Conn, error) { lost.Add(1) }
		nc, err := bus.Connect(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns[id], keys[id] = nc, kp
		tokens[id], _ = cfg.JWT()
	}
	with := func(id fleet.PeelID, token string) error {
		cfg := b.peelConfig(id, keys[id])
		cfg.JWT = func() (string, error) { return token, nil }
		nc, err := bus.Connect(t.Context(), cfg)
		if err == nil {
			nc.Close()
		}
		return err
	}
	answered := func(when string) {
		t.Helper()
		for id, nc := range conns {
			if err := nc.Publish(bus.HeartbeatSubject(id), nil); err != nil || nc.FlushTimeout(10*time.Second) != nil {
				t.Errorf("%s: %s: %v", when, id, err)
			}
		}
	}
	old := issuer(t, tokens["peel-aa"])
	did, err := b.RotateScoped(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if did.Kind != fleet.ScopedKey || did.Key == old || did.OldUntil.Sub(did.Since) != natsd.MaxPeelLife {
		t.Errorf("the rotation says %+v", did)
	}
	answered("after the rotation")
	pub, _ := keys["peel-aa"].PublicKey()
	fresh, err := b.IssuePeel(pub, "peel-aa", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got := issuer(t, fresh); got != did.Key {
		t.Errorf("a new permission is signed by %s, want %s", got, did.Key)
	}
	if n := lost.Load(); n != 0 {
		t.Fatalf("the rotation closed %d connections", n)
	}
	// Both permissions are good for new connections, as after a reconnect.
	for name, token := range map[string]string{"from before": tokens["peel-aa"], "from after": fresh} {
		if err := with("peel-aa", token); err != nil {
			t.Errorf("with a permission %s: %v", name, err)
		}
	}
	// All move at their renewal; a day later the old key is dropped.
	for id := range conns {
		pub, _ := keys[id].PublicKey()
		if tokens[id], err = b.IssuePeel(pub, id, time.Hour); err != nil {
			t.Fatal(err)
		}
		token := tokens[id]
		cfg := b.peelConfig(id, keys[id])
		cfg.JWT = func() (string, error) { return token, nil }
		nc, err := bus.Connect(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns[id].Close()
		conns[id] = nc
	}
	ahead.Store(int64(26 * time.Hour))
	before := tokenUnder(t, b, old, keys["peel-aa"])
	if err := b.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered("after the old key was dropped")
	b.log.waitFor(t, "is dropped")
	if err := with("peel-aa", before); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("with a permission of the dropped key: %v", err)
	}
	for id, nc := range conns {
		if !nc.IsConnected() || nc.Stats().Reconnects != 0 {
			t.Errorf("%s lost its connection", id)
		}
	}
}

// tokenUnder has an old key sign one more permission.
func tokenUnder(t *testing.T, b *fleetBus, pub string, user nkeys.KeyPair) string {
	t.Helper()
	userPub, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, kp := range b.FleetKeys().Scoped {
		if have, _ := kp.PublicKey(); have != pub {
			continue
		}
		account, _ := b.FleetKeys().Account.PublicKey()
		c := jwt.NewUserClaims(userPub)
		c.Name, c.IssuerAccount, c.Expires = "peel-aa", account, time.Now().Add(time.Hour).Unix()
		c.SetScoped(true)
		token, err := c.Encode(kp)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	t.Fatal("the old key is gone already")
	return ""
}

// A rotation on one server of a cluster is one of all.
func TestARotationReachesEveryServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	a, b := c.start(0), c.start(1)
	met(t, a, b)
	scoped, err := a.RotateScoped(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.RotateMaster(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, pub := key(t)
	var got string
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		token, err := b.IssuePeel(pub, "web-01", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		x, errX := a.MasterKey()
		y, errY := b.MasterKey()
		if errX != nil || errY != nil {
			t.Fatal(errX, errY)
		}
		if got = issuer(t, token); got == scoped.Key && x.Equal(y) && !x.Equal(a.FleetKeys().Master) {
			return
		}
	}
	t.Errorf("the other server signs with %s, want %s, or the master keys differ", got, scoped.Key)
}

// A suspension on one server of a cluster closes the connection on another,
// and ends with the next permission, whichever server issues it.
func TestASuspensionReachesEveryServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	a, b := c.start(0), c.start(1)
	met(t, a, b)
	kp, pub := key(t)
	cfg := b.peelConfig("web-01", kp)
	gone := make(chan struct{}, 16)
	cfg.OnDisconnect = func(*nats.Conn, error) { gone <- struct{}{} }
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	began := time.Now()
	if err := a.Suspend(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		t.Fatal("still connected to the other server")
	}
	t.Logf("out after %s", time.Since(began))
	if err := a.Suspend(t.Context(), "UX"); !errs.Is(err, errs.Invalid) {
		t.Errorf("no key: %v", err)
	}
	time.Sleep(time.Second) // permissions are told apart by the second in which they were issued
	for name, server := range map[string]*fleetBus{"the same server": a, "the other one": b} {
		again, err := bus.Connect(t.Context(), server.peelConfig("web-01", kp))
		if err != nil {
			t.Errorf("with a permission that %s has issued since: %v", name, err)
			continue
		}
		again.Close()
	}
	if nc.IsConnected() {
		t.Error("the permission from before is good again")
	}
}

// met waits until the servers of a cluster know one another.
func met(t *testing.T, servers ...*fleetBus) {
	t.Helper()
	eventually(t, "the servers know one another", func() bool {
		for _, s := range servers {
			if len(s.ClientURLs()) != len(servers) {
				return false
			}
		}
		return true
	})
}

// What one server states while it cannot reach another gets there when it can:
// a revocation, a suspension, a new key; in both directions, however often, and
// also in the same second.
func TestServersThatWereApartAgree(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	a, b := c.start(0), c.start(1)
	_, one := key(t)
	kp, two := key(t)
	cfg := b.peelConfig("web-02", kp)
	// The route between them may not be there yet, or be there just now.
	if err := a.Revoke(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	rotated, err := a.RotateScoped(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Suspend(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RotateMaster(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both state the same", func() bool {
		x, errX := a.MasterKey()
		y, errY := b.MasterKey()
		token, errZ := b.IssuePeel(two, "web-02", time.Hour)
		if errX != nil || errY != nil || errZ != nil {
			t.Fatal(errX, errY, errZ)
		}
		return x.Equal(y) && !x.Equal(a.FleetKeys().Master) && issuer(t, token) == rotated.Key
	})
	eventually(t, "the other server refuses the revoked key", func() bool {
		nc, err := bus.Connect(t.Context(), cfg)
		if err == nil {
			nc.Close()
		}
		return errs.Is(err, errs.Unauthorized)
	})
}
