package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// register is a table of tokens that counts how often it is asked.
type register struct {
	tokens  map[network.TapID]string
	lookups atomic.Int64
	down    atomic.Bool
	now     time.Time
}

func (r *register) load(_ context.Context, name network.TapID) (tapToken, error) {
	r.lookups.Add(1)
	if r.down.Load() {
		return tapToken{}, fmt.Errorf("no database")
	}
	token, ok := r.tokens[name]
	if !ok {
		return tapToken{}, nil
	}
	return tapToken{hash: sha256.Sum256([]byte(token))}, nil
}

func newRegister(taps int) (*register, *tokens) {
	r := &register{tokens: map[network.TapID]string{}, now: time.Now()}
	for i := range taps {
		name := network.TapID(fmt.Sprintf("t%d", i))
		r.tokens[name], _ = newToken(name)
	}
	return r, newTokens(r.load, func() time.Time { return r.now })
}

// TestTokensSpareTheDatabase shows that bad tokens cost no query each: those of
// a known tap one in a second, those of names that no tap has what the budget
// allows, and that meanwhile the good ones serve.
func TestTokensSpareTheDatabase(t *testing.T) {
	t.Parallel()
	r, list := newRegister(3)
	check := func(token string, kind errs.Kind) {
		t.Helper()
		if _, _, err := list.authenticate(t.Context(), token); errs.KindOf(err) != kind || (err == nil) != (kind == errs.Internal) {
			t.Errorf("%.20s: %v, want %v", token, err, kind)
		}
	}
	for i := range 1000 {
		check(fmt.Sprint(network.TokenPrefix, "t1_secret", i), errs.Unauthorized)
		check(r.tokens["t1"], errs.Internal)
		r.now = r.now.Add(time.Millisecond)
	}
	if n := r.lookups.Load(); n > 3 {
		t.Errorf("a thousand bad tokens of one tap in a second made %d lookups", n)
	}
	r.lookups.Store(0)
	unknown, refused := 0, 0
	for i := range 20_000 { // in 4 s
		_, _, err := list.authenticate(t.Context(), fmt.Sprint(network.TokenPrefix, "x", i, "_secret"))
		switch errs.KindOf(err) {
		case errs.Unauthorized:
			unknown++
		case errs.RateLimited:
			refused++
		default:
			t.Fatal(err)
		}
		r.now = r.now.Add(200 * time.Microsecond)
	}
	if n := r.lookups.Load(); n > lookupBurst+5*lookupPerSec || int(n) != unknown || refused == 0 {
		t.Errorf("20,000 names made %d lookups, %d were found unknown and %d refused", n, unknown, refused)
	}
	if len(list.unknown) > unknownTaps || len(list.taps) != 1 {
		t.Errorf("%d unknown names and %d taps are remembered", len(list.unknown), len(list.taps))
	}
	before := r.lookups.Load()
	check(r.tokens["t1"], errs.Internal)
	if r.lookups.Load() != before {
		t.Error("the good token was looked up again")
	}
}

// TestTokensWhileTheDatabaseIsDown shows how long what is known serves.
func TestTokensWhileTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	r, list := newRegister(2)
	auth := func(name network.TapID) error {
		_, _, err := list.authenticate(t.Context(), r.tokens[name])
		return err
	}
	if err := auth("t0"); err != nil {
		t.Fatal(err)
	}
	r.down.Store(true)
	r.now = r.now.Add(tokenStale - time.Second)
	if err := auth("t0"); err != nil {
		t.Errorf("a token that is known: %v", err)
	}
	if err := auth("t1"); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("one that is not: %v", err)
	}
	r.now = r.now.Add(2 * time.Second)
	if err := auth("t0"); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("one that was known long ago: %v", err)
	}
	r.down.Store(false)
	if err := auth("t0"); err != nil {
		t.Error(err)
	}
}

// TestTokensAreLookedUpOnce lets many requests of one tap come at once.
func TestTokensAreLookedUpOnce(t *testing.T) {
	t.Parallel()
	r, _ := newRegister(1)
	held := make(chan struct{})
	list := newTokens(func(ctx context.Context, name network.TapID) (tapToken, error) {
		<-held
		return r.load(ctx, name)
	}, time.Now)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, _, err := list.authenticate(t.Context(), r.tokens["t0"]); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for { // one that joins and does not wait is not held up
		list.mu.Lock()
		begun := len(list.running) == 1
		list.mu.Unlock()
		if begun {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, _, err := list.authenticate(ctx, r.tokens["t0"]); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("a request that ended: %v", err)
	}
	close(held)
	all.Wait()
	if n := r.lookups.Load(); n != 1 {
		t.Errorf("%d lookups", n)
	}
}
