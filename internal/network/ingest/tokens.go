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

// How long what is known of a tap's token serves. A revocation or a new token
// on another node is seen in the transaction of the report in any case; what
// can be late is only the refusal before the body is read.
const (
	tokenFresh  = time.Minute     // then it is read again
	tokenRecent = time.Second     // within it a token that does not match is not looked up again
	tokenStale  = 5 * time.Minute // so long it serves when the database does not answer
)

// Lookups of what may be bad tokens are bounded, whatever is sent: so many at
// once, and so many more each second.
const (
	lookupBurst  = 2000
	lookupPerSec = 200
	lookupTime   = 5 * time.Second
)

// So many taps are remembered, and so many names that no tap has.
const (
	knownTaps   = 65536
	unknownTaps = 8192
)

const wrongToken = "no tap has this token: make one with `rind tap add NAME` and put it into node.token of the tap"

// tapToken is what authenticates a tap. The hash of an unknown tap is all zero,
// which no hash is.
type tapToken struct {
	hash    [sha256.Size]byte
	expires time.Time // zero is never
	revoked bool
	tenant  string
	read    time.Time
}

func (t tapToken) known() bool { return t.hash != [sha256.Size]byte{} }

// tokens remembers the tokens of the taps that report, found by the name that
// stands in front of the secret, and the names that no tap has, so that a
// request with a bad token costs one hash and hardly ever a query.
type tokens struct {
	load func(ctx context.Context, name network.TapID) (tapToken, error)
	now  func() time.Time

	mu      sync.Mutex
	taps    map[network.TapID]tapToken
	unknown map[network.TapID]tapToken
	running map[network.TapID]*lookup
	budget  float64 // lookups that may be made
	filled  time.Time
	lookups uint64 // that were made
}

// lookup is a query for which several requests may wait.
type lookup struct {
	done chan struct{}
	got  tapToken
	err  error
}

func newTokens(load func(context.Context, network.TapID) (tapToken, error), now func() time.Time) *tokens {
	return &tokens{load: load, now: now, budget: lookupBurst, filled: now(),
		taps: map[network.TapID]tapToken{}, unknown: map[network.TapID]tapToken{}, running: map[network.TapID]*lookup{}}
}

// forget makes the next request of a tap look it up.
func (t *tokens) forget(name network.TapID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.taps, name)
	delete(t.unknown, name)
}

// forgetAll makes every tap's next request look it up.
func (t *tokens) forgetAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.taps)
	clear(t.unknown)
}

// authenticate returns the tap of a token, and what is known of it. Whether the
// tap is unknown or the secret wrong makes no difference in the answer.
func (t *tokens) authenticate(ctx context.Context, token string) (network.TapID, tapToken, error) {
	if len(token) > 256 {
		return "", tapToken{}, errs.New(errs.Unauthorized, wrongToken)
	}
	name, named := network.TapOfToken(token)
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !named {
		return "", tapToken{}, errs.New(errs.Unauthorized, wrongToken)
	}
	known, err := t.find(ctx, name, hash)
	match := subtle.ConstantTimeCompare(hash[:], known.hash[:]) == 1
	switch {
	case err != nil:
		return "", tapToken{}, err
	case !match:
		return "", tapToken{}, errs.New(errs.Unauthorized, wrongToken)
	case known.revoked:
		return "", tapToken{}, errs.New(errs.Forbidden, "tap %q is revoked: `rind tap add %s` gives it a new token", name, name)
	case !known.expires.IsZero() && !t.now().Before(known.expires):
		return "", tapToken{}, errs.New(errs.Forbidden, "the token of tap %q has expired: `rind tap rotate %s` gives it a new one", name, name)
	}
	return name, known, nil
}

// find returns what is known of a tap, and looks it up when that is too old, or
// does not match.
func (t *tokens) find(ctx context.Context, name network.TapID, hash [sha256.Size]byte) (tapToken, error) {
	t.mu.Lock()
	now := t.now()
	known, ok := t.taps[name]
	if !ok {
		known, ok = t.unknown[name]
	}
	age := now.Sub(known.read)
	good := ok && known.hash == hash && !known.revoked
	if ok && (good && age < tokenFresh || !good && age < tokenRecent) {
		t.mu.Unlock()
		return known, nil
	}
	l, joined := t.running[name]
	if !joined {
		if !good && !t.spend(now) {
			t.mu.Unlock()
			if ok && age < tokenStale {
				return known, nil
			}
			return tapToken{}, errs.New(errs.RateLimited, "too many unknown tokens are being tried: try again in a moment")
		}
		l = &lookup{done: make(chan struct{})}
		t.running[name] = l
	}
	t.mu.Unlock()
	if !joined {
		t.run(ctx, name, l)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return tapToken{}, errs.New(errs.Unavailable, "the tap did not wait for the answer")
	}
	if l.err != nil && good && age < tokenStale {
		return known, nil
	}
	return l.got, l.err
}

// run makes a lookup. It serves others too, so it does not end with the request
// that began it.
func (t *tokens) run(ctx context.Context, name network.TapID, l *lookup) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTime)
	defer cancel()
	got, err := t.load(ctx, name)
	if err != nil {
		err = errs.New(errs.Unavailable, "the database does not answer: try again: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lookups++
	delete(t.running, name)
	if l.got, l.err = got, err; err == nil {
		l.got.read = t.now()
		delete(t.taps, name)
		delete(t.unknown, name)
		if got.known() {
			keep(t.taps, name, l.got, knownTaps)
		} else {
			keep(t.unknown, name, l.got, unknownTaps)
		}
	}
	close(l.done)
}

// keep remembers an entry in the place of any other when there are too many.
func keep(m map[network.TapID]tapToken, name network.TapID, token tapToken, limit int) {
	if len(m) >= limit {
		for other := range m {
			delete(m, other)
			break
		}
	}
	m[name] = token
}

// spend takes one lookup from the budget, if there is one.
func (t *tokens) spend(now time.Time) bool {
	t.budget = min(lookupBurst, t.budget+lookupPerSec*max(0, now.Sub(t.filled).Seconds()))
	t.filled = now
	if t.budget < 1 {
		return false
	}
	t.budget--
	return true
}

// made is how many lookups were made.
func (t *tokens) made() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lookups
}
