package fleettest

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Credentials are those of an enrolled peel, for the peel's runtime.
type Credentials struct {
	ID fleet.PeelID

	w   *World
	key nkeys.KeyPair

	mu      sync.Mutex
	life    time.Duration // of what is issued
	token   string
	renewAt time.Time
	renewed int
}

// Enroll gives a peel its rights.
func (w *World) Enroll(id fleet.PeelID) *Credentials {
	w.t.Helper()
	key, err := nkeys.CreateUser()
	w.must(err)
	c := &Credentials{ID: id, w: w, key: key, life: time.Hour, renewAt: time.Now().Add(time.Hour)}
	w.must(c.Issue())
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.enrolled, id) {
		w.enrolled = append(w.enrolled, id)
	}
	return c
}

// Public is the key that the peel is known by.
func (c *Credentials) Public() string {
	pub, err := c.key.PublicKey()
	if err != nil {
		c.w.t.Error(err)
	}
	return pub
}

// Issue issues a new permission.
func (c *Credentials) Issue() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	token, err := c.w.Bus.IssuePeel(c.Public(), c.ID, c.life)
	if err == nil {
		c.token = token
	}
	return err
}

// Live has permissions live for so long from now on, and issues one.
func (c *Credentials) Live(d time.Duration) error {
	c.mu.Lock()
	c.life = d
	c.mu.Unlock()
	return c.Issue()
}

// Who returns the id and the fleet's root key.
func (c *Credentials) Who() (fleet.PeelID, ed25519.PublicKey) {
	return c.ID, c.w.Bus.FleetKeys().Root.Public().(ed25519.PublicKey)
}

// BusConfig says how to connect.
func (c *Credentials) BusConfig(log *slog.Logger) (bus.ConnConfig, error) {
	conf, err := pki.PoolTLS(c.w.caPEM)
	return bus.ConnConfig{URLs: []string{"tls://" + c.w.Bus.Addr()}, TLS: conf, Name: string(c.ID), InboxPrefix: bus.InboxPrefix(c.ID), Log: log,
		Sign: c.key.Sign, JWT: func() (string, error) { c.mu.Lock(); defer c.mu.Unlock(); return c.token, nil }}, err
}

// RenewAt is after the test, or when RenewIn says.
func (c *Credentials) RenewAt() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.renewAt }

// RenewIn has the peel renew its permission in a moment.
func (c *Credentials) RenewIn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewAt = time.Now().Add(d)
}

// Renew issues a new permission.
func (c *Credentials) Renew(context.Context) error {
	c.RenewIn(time.Hour)
	c.mu.Lock()
	c.renewed++
	c.mu.Unlock()
	return c.Issue()
}

// Renewed is how often it was renewed.
func (c *Credentials) Renewed() int { c.mu.Lock(); defer c.mu.Unlock(); return c.renewed }
