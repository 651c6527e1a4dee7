package natsd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// MaxPeelLife is the longest that a peel's permission may live. It also bounds
// how long a revocation has to be remembered, which keeps the account small.
const MaxPeelLife = 24 * time.Hour

// account is the account of masters and peels: its claims, and the file that
// is the truth about them. The server's own copy is made again from it.
type account struct {
	keys   *Keys
	path   string
	claims *jwt.AccountClaims
	now    func() time.Time
	stale  bool // the server has not got the claims as they are
}

// openAccount reads what was revoked and which templates were in use, and
// states everything else anew.
func openAccount(keys *Keys, limits jwt.JetStreamLimits, now func() time.Time) (*account, error) {
	a := &account{keys: keys, path: filepath.Join(keys.Store.Dir(), "account.jwt"), now: now}
	old, err := a.read()
	if err != nil {
		return nil, err
	}
	a.claims = jwt.NewAccountClaims(public(keys.Account))
	a.claims.Name = "rind"
	a.claims.Limits.JetStreamLimits = limits
	a.claims.Limits.DisallowBearer = true
	a.claims.Limits.LeafNodeConn = 0
	if old != nil {
		a.claims.Revocations = old.Revocations
	}
	if err := a.scope(old); err != nil {
		return nil, err
	}
	return a, a.save()
}

func (a *account) read() (*jwt.AccountClaims, error) {
	token, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the bus account: %w", err)
	}
	claims, err := jwt.DecodeAccountClaims(string(token))
	if err != nil {
		return nil, fmt.Errorf("the bus account in %s is damaged; put back the one from the backup, it says who is revoked: %w", a.path, err)
	}
	if claims.Subject != public(a.keys.Account) {
		return nil, fmt.Errorf("the bus account in %s belongs to another account key; put back the keys folder as a whole", a.path)
	}
	return claims, nil
}

// scope states the template of each scoped key. A key keeps the template that
// it was made with, since editing it closes every connection under it: a new
// template goes with a new key, and an old key goes when the last permission
// that it signed has expired.
func (a *account) scope(old *jwt.AccountClaims) error {
	before := map[string]*jwt.UserScope{}
	if old != nil {
		for pub, s := range old.SigningKeys {
			if us, ok := s.(*jwt.UserScope); ok {
				before[pub] = us
			}
		}
	}
	newest := before[public(a.keys.Scoped[len(a.keys.Scoped)-1])]
	if newest != nil && !sameTemplate(newest.Template, bus.PeelPermissions()) {
		if err := a.keys.addScoped(); err != nil {
			return err
		}
		newest = nil
	}
	last := len(a.keys.Scoped) - 1
	if newest == nil {
		newest = a.newScope(public(a.keys.Scoped[last]))
	}
	a.claims.SigningKeys.AddScopedSigner(newest)
	made, err := time.Parse(time.RFC3339, newest.Description)
	if err == nil && a.now().Sub(made) > MaxPeelLife+time.Hour {
		return nil
	}
	for _, kp := range a.keys.Scoped[:last] {
		if s := before[public(kp)]; s != nil {
			a.claims.SigningKeys.AddScopedSigner(s)
		}
	}
	return nil
}

func (a *account) newScope(pub string) *jwt.UserScope {
	s := jwt.NewUserScope()
	s.Key, s.Role = pub, "peel"
	s.Template = bus.PeelPermissions()
	s.Description = a.now().UTC().Format(time.RFC3339)
	return s
}

func sameTemplate(a, b jwt.UserPermissionLimits) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// revoke states that the key may not connect, whatever permission it shows.
// The moment lies ahead by the longest life, so that a permission issued by a
// clock that was wrong is covered too. It reports whether that is new.
func (a *account) revoke(pub string) bool {
	if at, ok := a.claims.Revocations[pub]; ok && at > a.now().Unix() {
		return false
	}
	a.claims.RevokeAt(pub, a.now().Add(MaxPeelLife))
	return true
}

// unrevoke takes that back, and reports whether there was anything to.
func (a *account) unrevoke(pub string) bool {
	_, ok := a.claims.Revocations[pub]
	a.claims.ClearRevocation(pub)
	return ok
}

// forget drops the revocations that outlived every permission they concern.
func (a *account) forget() {
	oldest := a.now().Add(-2 * time.Hour).Unix()
	for pub, at := range a.claims.Revocations {
		if at < oldest {
			delete(a.claims.Revocations, pub)
		}
	}
}

// token signs the claims.
func (a *account) token() (string, error) {
	a.forget()
	token, err := a.claims.Encode(a.keys.Operator)
	if err != nil {
		return "", fmt.Errorf("signing the bus account: %w", err)
	}
	return token, nil
}

// save signs the claims and writes them to the file.
func (a *account) save() error {
	token, err := a.token()
	if err != nil {
		return err
	}
	return disk.WriteFile(a.path, []byte(token))
}
