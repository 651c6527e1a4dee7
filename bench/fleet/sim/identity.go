// Package sim is many peels in one process: the peel's own runtime, enrolled
// over HTTPS, each with a lean socket of its own. It makes storms on demand.
package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// shared is what all identities of a process were granted alike.
type shared struct {
	URLs []string          `json:"urls"`
	CA   []byte            `json:"ca"`
	Root ed25519.PublicKey `json:"root"`

	tls *tls.Config
}

func (s *shared) open() (err error) {
	s.tls, err = pki.PoolTLS(s.CA)
	return err
}

// identity is one enrolled peel. Its key is its own.
type identity struct {
	id     fleet.PeelID
	key    nkeys.KeyPair
	all    *shared
	client *client // for renewals

	mu      sync.Mutex
	jwt     string
	renewAt time.Time
	issue   func(*identity) (string, error) // instead of the server; nil asks it
}

// Who returns the id and the fleet's root key.
func (i *identity) Who() (fleet.PeelID, ed25519.PublicKey) { return i.id, i.all.Root }

// BusConfig is how it connects; the TLS configuration is common to all.
func (i *identity) BusConfig(log *slog.Logger) (bus.ConnConfig, error) {
	return bus.ConnConfig{
		URLs: i.all.URLs, TLS: i.all.tls, Name: string(i.id), InboxPrefix: bus.InboxPrefix(i.id),
		JWT: i.token, Sign: i.key.Sign, Log: log,
	}, nil
}

func (i *identity) token() (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.jwt, nil
}

// RenewAt is a moment in the last third of the permission's life, or at once
// when a new one is ordered.
func (i *identity) RenewAt() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.renewAt
}

// take keeps a permission, and when to renew it. The claims are read once,
// since thousands would ask again and again.
func (i *identity) take(token string) error {
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return fmt.Errorf("the permission of %s: %w", i.id, err)
	}
	issued, expires := time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jwt, i.renewAt = token, expires.Add(-expires.Sub(issued)/3)
	return nil
}

// order says who signs the next permission.
func (i *identity) order(issue func(*identity) (string, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.issue = issue
}

// Renew takes a new permission.
func (i *identity) Renew(ctx context.Context) error {
	i.mu.Lock()
	issue := i.issue
	i.mu.Unlock()
	if issue == nil {
		return i.client.renew(ctx, i)
	}
	token, err := issue(i)
	if err != nil {
		return err
	}
	return i.take(token)
}

// Subjects of the raw rounds, which peels may not use: the permissions of a
// bench add them to those of a peel.
const (
	RawAll    = "bench.all"
	RawStored = "bench.stored."
)

// RawSubject is where a simulated peel answers to a raw round.
func RawSubject(id fleet.PeelID) string { return "bench.peel." + string(id) }

// issuer signs permissions with the fleet's account key: a peel's, with the
// subjects of the raw rounds. Only who holds the server's data folder can.
func issuer(account nkeys.KeyPair) func(*identity) (string, error) {
	return func(i *identity) (string, error) {
		public, err := i.key.PublicKey()
		if err != nil {
			return "", err
		}
		owner, err := account.PublicKey()
		if err != nil {
			return "", err
		}
		claims := jwt.NewUserClaims(public)
		claims.Name, claims.IssuerAccount = string(i.id), owner
		claims.Expires = time.Now().Add(enroll.JWTLife).Unix()
		claims.UserPermissionLimits = own(bus.PeelPermissions(), i.id)
		claims.Pub.Allow.Add(RawSubject(i.id), RawStored+string(i.id))
		claims.Sub.Allow.Add(RawAll)
		return claims.Encode(account)
	}
}

// own fills the id into a template, as the server does.
func own(p jwt.UserPermissionLimits, id fleet.PeelID) jwt.UserPermissionLimits {
	for _, list := range []*jwt.StringList{&p.Pub.Allow, &p.Sub.Allow} {
		for n, s := range *list {
			(*list)[n] = string(bytes.ReplaceAll([]byte(s), []byte("{{name()}}"), []byte(id)))
		}
	}
	return p
}

// kept is a file of identities, so that a process that was killed comes back
// as the same peels.
type kept struct {
	Shared shared `json:"shared"`
	Peels  []keptPeel
}

type keptPeel struct {
	ID   fleet.PeelID `json:"id"`
	Seed string       `json:"seed"`
	JWT  string       `json:"jwt"`
}

func save(path string, all []*identity) error {
	if len(all) == 0 {
		return nil
	}
	k := kept{Shared: *all[0].all}
	for _, i := range all {
		seed, err := i.key.Seed()
		if err != nil {
			return err
		}
		token, _ := i.token()
		k.Peels = append(k.Peels, keptPeel{i.id, string(seed), token})
	}
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func load(path string, c *client) ([]*identity, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := k.Shared.open(); err != nil {
		return nil, err
	}
	var all []*identity
	for _, p := range k.Peels {
		key, err := nkeys.FromSeed([]byte(p.Seed))
		if err != nil {
			return nil, err
		}
		i := &identity{id: p.ID, key: key, all: &k.Shared, client: c}
		if err := i.take(p.JWT); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// ordered reports whether the permission allows the raw rounds.
func (i *identity) ordered() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.issue != nil
}
