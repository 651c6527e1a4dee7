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
// is the truth about them. The server's own copy is made again from it. In a
// cluster every server has such a file, and they are merged: see merge.
type account struct {
	keys   *Keys
	path   string
	claims *jwt.AccountClaims
	signed string // the claims, as they were signed last
	now    func() time.Time
	stale  bool // the server has not got the claims as they are
}

// openAccount reads what was revoked and which templates were in use, and
// states everything else anew. Held is the account as the server's own copy
// has it, "" when there is none. When nothing has changed, the signature stays
// too: a new one would look to other servers like news.
func openAccount(keys *Keys, limits jwt.JetStreamLimits, now func() time.Time, held string) (*account, error) {
	a := &account{keys: keys, path: filepath.Join(keys.Store.Dir(), "account.jwt"), now: now}
	old, err := a.read()
	if err != nil {
		return nil, err
	}
	if theirs, err := a.decode(held); err == nil {
		if old == nil || theirs.IssuedAt >= old.IssuedAt {
			a.signed = held
		}
		old = mergeClaims(old, theirs)
	}
	a.claims = jwt.NewAccountClaims(public(keys.Account))
	a.claims.Name = "rind"
	a.claims.Limits.JetStreamLimits = limits
	a.claims.Limits.DisallowBearer = true
	a.claims.Limits.LeafNodeConn = 0
	if old != nil {
		a.claims.Revocations, a.claims.Tags = old.Revocations, old.Tags
	}
	if err := a.scope(old); err != nil {
		return nil, err
	}
	if err := a.adopt(); err != nil {
		return nil, err
	}
	a.retire()
	a.forget()
	if before, err := a.decode(a.signed); err == nil && sameClaims(before, a.claims) {
		return a, disk.WriteFile(a.path, []byte(a.signed))
	}
	return a, a.save()
}

// read takes the account from its file. There is none at the first start.
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
	a.signed = string(token)
	return claims, nil
}

// decode reads an account that was signed by the fleet's operator.
func (a *account) decode(token string) (*jwt.AccountClaims, error) {
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, err
	}
	if claims.Subject != public(a.keys.Account) || claims.Issuer != public(a.keys.Operator) {
		return nil, errors.New("the account is another one, or somebody else signed it")
	}
	return claims, nil
}

// scope states the template of each scoped key. A key keeps the template that
// it was made with, since editing it closes every connection under it: a new
// template goes with a new key, and an old key goes when the last permission
// that it signed has expired. A server of another version has another key, and
// states it again itself as long as it uses it.
func (a *account) scope(old *jwt.AccountClaims) error {
	before := scopes(old)
	newest := before[public(a.keys.Scoped[len(a.keys.Scoped)-1])]
	if newest != nil && !sameTemplate(newest.Template, bus.PeelPermissions()) {
		if err := a.keys.addScoped(bus.PeelPermissions()); err != nil {
			return err
		}
		newest = before[public(a.keys.Scoped[len(a.keys.Scoped)-1])]
	}
	if newest == nil {
		newest = a.newScope(public(a.keys.Scoped[len(a.keys.Scoped)-1]))
	}
	a.claims.SigningKeys.AddScopedSigner(newest)
	for _, s := range before {
		if s.Key != newest.Key && (!a.settled(newest) || s.Description >= newest.Description) {
			a.claims.SigningKeys.AddScopedSigner(s)
		}
	}
	return nil
}

// settled reports whether a scope is so old that every permission signed
// before it has expired.
func (a *account) settled(s *jwt.UserScope) bool {
	made, err := time.Parse(time.RFC3339, s.Description)
	return err == nil && a.now().Sub(made) > MaxPeelLife+time.Hour
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
	back, _ := taken(a.claims, pub)
	if at, ok := a.claims.Revocations[pub]; ok && back == 0 && at > a.now().Unix() {
		return false
	}
	at := a.moment(pub).Add(MaxPeelLife)
	setTaken(a.claims, pub, 0)
	a.claims.ClearRevocation(pub)
	a.claims.RevokeAt(pub, at)
	return true
}

// moment is when a new word about a key is said: now, or a second behind the
// last one that is known, when that was said in this same second or by a clock
// that is ahead. Otherwise the servers would take it for an older one.
func (a *account) moment(pub string) time.Time {
	now := a.now()
	if _, known := a.claims.Revocations[pub]; !known {
		return now
	}
	if last := said(a.claims, pub); last >= now.Unix() {
		return time.Unix(last+1, 0)
	}
	return now
}

// unrevoke takes that back, and reports whether there was anything to. What was
// issued before stays refused. That it was taken back is remembered as long as
// the revocation would have been: a server that was away has it still.
func (a *account) unrevoke(pub string) bool {
	back, _ := taken(a.claims, pub)
	if _, ok := a.claims.Revocations[pub]; !ok || back != 0 {
		return false
	}
	at := a.moment(pub)
	a.claims.ClearRevocation(pub)
	a.claims.RevokeAt(pub, a.now().Add(-time.Second))
	setTaken(a.claims, pub, at.Unix())
	return true
}

// forget drops the revocations that outlived every permission they concern.
func (a *account) forget() {
	oldest := a.now().Add(-2 * time.Hour).Unix()
	for pub, at := range a.claims.Revocations {
		if back, ok := taken(a.claims, pub); ok {
			at = back + int64(MaxPeelLife/time.Second)
		}
		if at < oldest {
			delete(a.claims.Revocations, pub)
			setTaken(a.claims, pub, 0)
		}
	}
}

// sign signs the claims anew.
func (a *account) sign() error {
	a.forget()
	token, err := a.claims.Encode(a.keys.Operator)
	if err != nil {
		return fmt.Errorf("signing the bus account: %w", err)
	}
	a.signed = token
	return nil
}

// signedWith reports whether another account was signed in the same second.
func (a *account) signedWith(other string) bool {
	theirs, err := a.decode(other)
	return err == nil && theirs.IssuedAt == a.claims.IssuedAt
}

// save signs the claims and writes them to the file.
func (a *account) save() error {
	if err := a.sign(); err != nil {
		return err
	}
	return disk.WriteFile(a.path, []byte(a.signed))
}
