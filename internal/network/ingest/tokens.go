package ingest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// How long the list of tokens is used before it is read again. Another node's
// revocation is seen in the transaction of the report in any case; what can be
// late is only the refusal before the body is read, and a new token.
const (
	tokensFresh = 5 * time.Second
	tokensMiss  = time.Second // after an unknown token
	tokensStale = 5 * time.Minute
)

// tapToken is what authenticates a tap.
type tapToken struct {
	hash    [sha256.Size]byte
	expires time.Time // zero is never
	revoked bool
}

// tokens is the list of all tokens, in memory: a request with a bad token
// costs one hash, and no query.
type tokens struct {
	load func(ctx context.Context) (map[network.TapID]tapToken, error)
	now  func() time.Time

	mu     sync.Mutex
	list   map[network.TapID]tapToken
	loaded time.Time
	tried  time.Time
}

func newTokens(load func(context.Context) (map[network.TapID]tapToken, error), now func() time.Time) *tokens {
	return &tokens{load: load, now: now}
}

// forget makes the next request read the list.
func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loaded, t.tried = time.Time{}, time.Time{}
}

// authenticate returns the tap of a token. Whether the tap is unknown or the
// secret wrong makes no difference in work or in the answer.
func (t *tokens) authenticate(ctx context.Context, token string) (network.TapID, error) {
	const wrong = "no tap has this token: make one with `rind tap add NAME` and put it into node.token of the tap"
	if len(token) > 256 {
		return "", errs.New(errs.Unauthorized, wrong)
	}
	name, named := network.TapOfToken(token)
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	list, err := t.current(ctx, func(list map[network.TapID]tapToken) bool { _, ok := list[name]; return ok || !named })
	if err != nil {
		return "", err
	}
	known := list[name] // of an unknown tap: all zero, which no hash is
	match := subtle.ConstantTimeCompare(hash[:], known.hash[:]) == 1
	switch {
	case !match || !named:
		return "", errs.New(errs.Unauthorized, wrong)
	case known.revoked:
		return "", errs.New(errs.Forbidden, "tap %q is revoked: `rind tap add %s` gives it a new token", name, name)
	case !known.expires.IsZero() && !t.now().Before(known.expires):
		return "", errs.New(errs.Forbidden, "the token of tap %q has expired: `rind tap rotate %s` gives it a new one", name, name)
	}
	return name, nil
}

// current returns the list, read again when it is old, or does not satisfy.
func (t *tokens) current(ctx context.Context, satisfies func(map[network.TapID]tapToken) bool) (map[network.TapID]tapToken, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	age := now.Sub(t.loaded)
	if t.list != nil && (age < tokensFresh && satisfies(t.list) || now.Sub(t.tried) < tokensMiss) {
		return t.list, nil
	}
	t.tried = now
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := t.load(ctx)
	if err != nil {
		if t.list != nil && age < tokensStale {
			return t.list, nil
		}
		return nil, errs.New(errs.Unavailable, "the database does not answer: try again: %w", err)
	}
	t.list, t.loaded = list, now
	return list, nil
}
