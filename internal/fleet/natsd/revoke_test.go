package natsd_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

func TestRevokedPeelIsOutAtOnceAndStaysOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startBus(t, dir)
	kp, pub := key(t)
	cfg := b.peelConfig("web-01", kp)
	gone := make(chan struct{})
	cfg.OnDisconnect = func(*nats.Conn, error) {
		select {
		case <-gone:
		default:
			close(gone)
		}
	}
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	bystander := b.peel("web-02")

	began := time.Now()
	if err := b.Revoke(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(2 * time.Second):
		t.Fatal("still connected after 2 s")
	}
	t.Logf("disconnected after %s", time.Since(began))
	time.Sleep(300 * time.Millisecond) // several reconnects
	if nc.IsConnected() {
		t.Error("the revoked peel came back")
	}
	if nc.IsClosed() {
		t.Error("the client gave up; it has to try for ever")
	}
	if !bystander.IsConnected() || bystander.Stats().Reconnects != 0 {
		t.Error("another peel lost its connection")
	}
	refused := func(why string) {
		t.Helper()
		if _, err := bus.Connect(t.Context(), b.peelConfig("web-01", kp)); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("with a permission issued after the revocation")

	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = startBus(t, dir)
	refused("after a restart of the bus")
	if err := b.Unrevoke(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	back, err := bus.Connect(t.Context(), b.peelConfig("web-01", kp))
	if err != nil {
		t.Fatalf("after Unrevoke: %v", err)
	}
	back.Close()
}

func TestManyRevocationsAtOnce(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	done := make(chan error)
	for range 20 {
		_, pub := key(t)
		go func() { done <- b.Revoke(t.Context(), pub) }()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	kp, pub := key(t)
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	accountPub, _ := account.PublicKey()
	encode := func(change func(*jwt.UserClaims), signer nkeys.KeyPair) func() (string, error) {
		c := jwt.NewUserClaims(pub)
		c.Name = "web-01"
		change(c)
		token, err := c.Encode(signer)
		return func() (string, error) { return token, err }
	}
	keys := b.FleetKeys()
	ours, _ := keys.Account.PublicKey()
	serverJWT, serverSign, err := b.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	systemJWT, systemSign, err := b.SystemUser()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		jwt  func() (string, error)
		sign func([]byte) ([]byte, error)
	}{
		{"no credentials", nil, nil},
		{"an account of its own", encode(func(*jwt.UserClaims) {}, account), kp.Sign},
		{"our account named, another signer", encode(func(c *jwt.UserClaims) { c.IssuerAccount = ours; c.SetScoped(true) }, account), kp.Sign},
		{"another account named, our scoped signer", encode(func(c *jwt.UserClaims) { c.IssuerAccount = accountPub; c.SetScoped(true) }, keys.Scoped[0]), kp.Sign},
		{"rights of its own under the scoped key", encode(func(c *jwt.UserClaims) { c.IssuerAccount = ours; c.Pub.Allow.Add(">") }, keys.Scoped[0]), kp.Sign},
		{"expired", encode(func(c *jwt.UserClaims) {
			c.IssuerAccount = ours
			c.SetScoped(true)
			c.Expires = time.Now().Add(-time.Minute).Unix()
		}, keys.Scoped[0]), kp.Sign},
		{"the server's user from the network", func() (string, error) { return serverJWT, nil }, serverSign},
		{"the system user from the network", func() (string, error) { return systemJWT, nil }, systemSign},
		{"the right permission, another key", encode(func(c *jwt.UserClaims) { c.IssuerAccount = ours; c.SetScoped(true) }, keys.Scoped[0]), account.Sign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nc, err := bus.Connect(t.Context(), bus.ConnConfig{URLs: []string{"tls://" + b.Addr()}, TLS: b.client, Once: true, JWT: tt.jwt, Sign: tt.sign})
			if err == nil {
				nc.Close()
				t.Fatal("connected")
			}
			// The broker looks for an account that it does not know for about
			// two seconds, and may ping the client before it says why.
			if !errs.Is(err, errs.Unauthorized) && !strings.Contains(err.Error(), "expected 'PONG'") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRefusalIsLoggedWithWhatToDo(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	kp, pub := key(t)
	if err := b.Revoke(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	if err := connectAs(b, kp); err == nil {
		t.Fatal("a revoked key connected")
	}
	b.log.waitFor(t, "reason=auth")
	if err := b.peel("web-02").Publish(bus.JobAll, nil); err != nil {
		t.Fatal(err)
	}
	b.log.waitFor(t, "reason=permission")
}

func TestIssuePeelRefuses(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	_, pub := key(t)
	for _, id := range []string{"", "*", ">", "a.b", "{{name()}}", "A", "a b", strings.Repeat("a", 64)} {
		if _, err := b.IssuePeel(pub, peelID(id), time.Hour); !errs.Is(err, errs.Invalid) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	for _, ttl := range []time.Duration{0, -1, 24*time.Hour + 1} {
		if _, err := b.IssuePeel(pub, "web-01", ttl); !errs.Is(err, errs.Invalid) {
			t.Errorf("life %s: %v", ttl, err)
		}
	}
	if _, err := b.IssuePeel("UX", "web-01", time.Hour); !errs.Is(err, errs.Invalid) {
		t.Errorf("no key: %v", err)
	}
}

func TestPermissionExpiresWhileConnected(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	kp, pub := key(t)
	cfg := b.peelConfig("web-01", kp)
	issued := 0
	cfg.JWT = func() (string, error) {
		issued++
		return b.IssuePeel(pub, "web-01", 2*time.Second)
	}
	again := make(chan struct{}, 16)
	cfg.OnConnect = func(*nats.Conn) { again <- struct{}{} }
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 2 {
		select {
		case <-again:
		case <-ctx.Done():
			t.Fatal("did not come back with a new permission")
		}
	}
	if issued < 2 {
		t.Error("the permission was not asked for again")
	}
	if errors.Is(nc.LastError(), nats.ErrConnectionClosed) {
		t.Error(nc.LastError())
	}
}
