package natsd

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of rotations.
const (
	retireEvery = 10 * time.Minute // between looks for keys that have signed nothing that lives
	maxRotation = 1 << 20
)

// rolePeel is the role in the scope of a key, with the number of rotations
// behind it from the first one on: "peel", "peel-1", "peel-2" …
const rolePeel = "peel"

func rotation(s *jwt.UserScope) int {
	n, err := strconv.Atoi(strings.TrimPrefix(s.Role, rolePeel+"-"))
	if err != nil || n < 0 || n > maxRotation {
		return 0
	}
	return n
}

func roleOf(n int) string {
	if n == 0 {
		return rolePeel
	}
	return rolePeel + "-" + strconv.Itoa(n)
}

// RotateScoped has a new key sign peels' permissions. No connection is closed
// by that: peels move to the new key at their renewal, and the old one is
// dropped when the last permission under it has expired.
func (s *Server) RotateScoped(ctx context.Context) (fleet.KeyRotation, error) {
	if s.FleetKeys() == nil {
		return fleet.KeyRotation{}, errs.New(errs.Unavailable, "the bus does not run")
	}
	var out fleet.KeyRotation
	var failed error
	err := s.amend(ctx, func(a *account) bool {
		var scope *jwt.UserScope
		if scope, failed = a.rotate(); failed != nil {
			return false
		}
		now := a.now().UTC()
		out = fleet.KeyRotation{Kind: fleet.ScopedKey, Key: scope.Key, Since: now, OldUntil: now.Add(MaxPeelLife)}
		return true
	})
	if failed != nil {
		return out, failed
	}
	return out, err
}

// rotate states the next key for the template in use.
func (a *account) rotate() (*jwt.UserScope, error) {
	if len(a.claims.SigningKeys) >= maxScoped {
		return nil, errs.New(errs.Conflict, "%d scoped signing keys live already, which is the limit: an old one is dropped when the last permission under it has expired, at most %s after its rotation", len(a.claims.SigningKeys), MaxPeelLife+time.Hour)
	}
	n := 0
	for _, s := range scopes(a.claims) {
		if sameTemplate(s.Template, bus.PeelPermissions()) {
			n = max(n, rotation(s))
		}
	}
	kp, err := a.keys.deriveScoped(bus.PeelPermissions(), n+1)
	if err != nil {
		return nil, err
	}
	scope := a.newScope(public(kp))
	scope.Role = roleOf(n + 1)
	a.claims.SigningKeys.AddScopedSigner(scope)
	return scope, nil
}

// adopt has the newest key for the template in use sign from now on, which
// this server or another one has rotated to.
func (a *account) adopt() error {
	var newest *jwt.UserScope
	for _, s := range scopes(a.claims) {
		if rotation(s) > 0 && sameTemplate(s.Template, bus.PeelPermissions()) && (newest == nil || rotation(s) > rotation(newest)) {
			newest = s
		}
	}
	if newest == nil || public(a.keys.Scoped[len(a.keys.Scoped)-1]) == newest.Key {
		return nil
	}
	kp, err := a.keys.deriveScoped(newest.Template, rotation(newest))
	if err != nil {
		return err
	}
	if public(kp) != newest.Key {
		return fmt.Errorf("the bus account names a scoped key that this server's account key does not make; put back the keys folder as a whole")
	}
	return a.keys.keepScoped(kp)
}

// retire drops the keys that were rotated out so long ago that every
// permission under them has expired. It reports whether there were any.
func (a *account) retire() bool {
	all := scopes(a.claims)
	gone := false
	for key, old := range all {
		for _, s := range all {
			if rotation(s) > rotation(old) && sameTemplate(s.Template, old.Template) && a.settled(s) {
				delete(a.claims.SigningKeys, key)
				a.keys.dropScoped(key)
				gone = true
				break
			}
		}
	}
	return gone
}

// retireLoop drops them while the server runs.
func (s *Server) retireLoop(ctx context.Context) {
	tick := time.NewTicker(retireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.retire(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("cannot drop a signing key that was rotated out; trying again", "error", err)
		}
	}
}

func (s *Server) retire(ctx context.Context) error {
	return s.amend(ctx, func(a *account) bool {
		gone := a.retire()
		if gone {
			s.deps.Log.Info("a scoped signing key is dropped: the last permission under it has expired", "live", len(a.claims.SigningKeys))
		}
		return gone
	})
}

// RotateMaster has a new key sign jobs. Peels take it at once, since each job
// carries the delegation of the key that signed it.
func (s *Server) RotateMaster(ctx context.Context) (fleet.KeyRotation, error) {
	if s.FleetKeys() == nil {
		return fleet.KeyRotation{}, errs.New(errs.Unavailable, "the bus does not run")
	}
	err := s.amend(ctx, func(a *account) bool { return setMasterKey(a.claims, masterKey(a.claims)+1) })
	if err != nil {
		return fleet.KeyRotation{}, err
	}
	key, err := s.MasterKey()
	if err != nil {
		return fleet.KeyRotation{}, err
	}
	return fleet.KeyRotation{Kind: fleet.MasterKey, Key: base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), Since: s.deps.Now().UTC()}, nil
}

// MasterKey is the key that signs jobs now, on every server of the cluster.
func (s *Server) MasterKey() (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil || s.account == nil {
		return nil, errs.New(errs.Unavailable, "the bus does not run")
	}
	return s.keys.masterAt(masterKey(s.account.claims))
}

// tagMaster begins a tag that counts the rotations of the key that signs jobs.
// What it selects comes from the fleet's root, which whoever owns the broker
// alone does not have.
const tagMaster = "master-key:"

func masterKey(c *jwt.AccountClaims) int {
	for _, t := range c.Tags {
		if rest, ok := strings.CutPrefix(t, tagMaster); ok {
			if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n <= maxRotation {
				return n
			}
		}
	}
	return 0
}

// setMasterKey reports whether that is new.
func setMasterKey(c *jwt.AccountClaims, n int) bool {
	if n == masterKey(c) || n > maxRotation {
		return false
	}
	var tags jwt.TagList
	for _, t := range c.Tags {
		if !strings.HasPrefix(t, tagMaster) {
			tags = append(tags, t)
		}
	}
	c.Tags = append(tags, tagMaster+strconv.Itoa(n))
	return true
}

// masterAt is the key that signs jobs after n rotations. It comes from the
// fleet's root, so that each server of a cluster makes the same one by itself.
func (k *Keys) masterAt(n int) (ed25519.PrivateKey, error) {
	if n == 0 {
		return k.Master, nil
	}
	raw, err := hkdf.Key(sha256.New, k.Root.Seed(), nil, "rind master key\n"+strconv.Itoa(n), ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("making a master key: %w", err)
	}
	return ed25519.NewKeyFromSeed(raw), nil
}

// deriveScoped makes the key for a template after n rotations. It comes from
// the account's key, so that each server of a cluster makes the same one by
// itself.
func (k *Keys) deriveScoped(template jwt.UserPermissionLimits, n int) (nkeys.KeyPair, error) {
	seed, err := k.Account.Seed()
	if err != nil {
		return nil, fmt.Errorf("making a scoped key: %w", err)
	}
	text, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("making a scoped key: %w", err)
	}
	info := "rind scoped key\n" + string(text)
	if n > 0 {
		info += "\n" + strconv.Itoa(n)
	}
	raw, err := hkdf.Key(sha256.New, seed, nil, info, 32)
	if err != nil {
		return nil, fmt.Errorf("making a scoped key: %w", err)
	}
	kp, err := nkeys.FromRawSeed(nkeys.PrefixByteAccount, raw)
	if err != nil {
		return nil, fmt.Errorf("making a scoped key: %w", err)
	}
	return kp, nil
}
