// Package limit counts tries to log in, before any password is hashed.
//
// A try takes one token from each of several buckets, or none and is refused:
//
//   - of the account from this address: few, so that one attacker gets a
//     handful of guesses;
//   - of the address (IPv6: of the /64, and a larger bucket of the /48), so
//     that one attacker cannot try many accounts;
//   - of the account from everywhere, so that many addresses together do not
//     get many guesses at one account.
//
// The last bucket could be kept empty by strangers to lock the account's owner
// out, so it does not count for an address from which the owner has logged in
// before; the caller knows those (see Try). The other two cannot be emptied
// from elsewhere. A server's own administrator has the unix socket besides,
// where no password is asked.
//
// The counts are of one process: n nodes behind a load balancer allow n times
// as many tries, and a restart forgets them.
package limit

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// rate describes a bucket: how many tries it holds, and how long it takes to
// regain one.
type rate struct {
	burst  float64
	regain time.Duration
}

type kind uint8

const (
	pair kind = iota
	address
	network
	account
)

var rates = [...]rate{
	pair:    {burst: 5, regain: time.Minute},
	address: {burst: 20, regain: 15 * time.Second},
	network: {burst: 100, regain: 3 * time.Second},
	account: {burst: 20, regain: 30 * time.Second},
}

// PairBurst is how many wrong tries one address has at one account at once.
const PairBurst = 5

// maxBuckets bounds the memory (about 10 MB). When that many are in use, new
// ones share one bucket of their kind, so that a flood of invented names can
// neither use up memory nor push out the counts of the real ones.
const maxBuckets = 1 << 16

type key struct {
	kind    kind
	account string
	from    netip.Prefix
}

type bucket struct {
	tokens float64
	at     time.Time
}

// Limiter counts. Use New. It is safe for concurrent use.
type Limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[key]*bucket
	swept   time.Time
}

// New makes a Limiter with a clock.
func New(now func() time.Time) *Limiter {
	return &Limiter{now: now, buckets: map[key]*bucket{}}
}

// Refusal says why a try was refused.
type Refusal struct {
	Wait    time.Duration // until a try is allowed again
	Account bool          // only the account's count from everywhere refuses
}

// Attempt is a try that was let through and counted.
type Attempt struct {
	limiter *Limiter
	keys    []key
}

// Try counts a try at the account from the address, or refuses it. familiar
// says that the account's owner has logged in from this address before. The
// account is of bounded length; the caller has checked it.
func (l *Limiter) Try(name string, from netip.Addr, familiar bool) (*Attempt, *Refusal) {
	keys := keysOf(name, from)
	if familiar {
		keys = keys[:len(keys)-1]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	taken := make([]*bucket, len(keys))
	var refusal *Refusal
	for i, k := range keys {
		keys[i], taken[i] = l.get(k, now)
		if taken[i].tokens >= 1 {
			continue
		}
		wait := time.Duration((1 - taken[i].tokens) * float64(rates[k.kind].regain))
		if refusal == nil {
			refusal = &Refusal{Account: k.kind == account}
		}
		refusal.Wait = max(refusal.Wait, wait)
	}
	if refusal != nil {
		return nil, refusal
	}
	for _, b := range taken {
		b.tokens--
	}
	return &Attempt{limiter: l, keys: keys}, nil
}

// Succeeded gives the try back, and the address all its tries at the account.
func (a *Attempt) Succeeded() { a.giveBack(rates[pair].burst) }

// Cancel gives the try back, when no password was looked at after all.
func (a *Attempt) Cancel() { a.giveBack(1) }

func (a *Attempt) giveBack(ofPair float64) {
	l := a.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range a.keys {
		n := 1.0
		if k.kind == pair {
			n = ofPair
		}
		if b := l.buckets[k]; b != nil {
			b.tokens = math.Min(rates[k.kind].burst, b.tokens+n)
		}
	}
}

// keysOf returns the buckets of a try, the account's last.
func keysOf(name string, from netip.Addr) []key {
	host := Network(from)
	keys := []key{{pair, name, host}, {address, "", host}}
	if from.Is6() && !from.Is4In6() {
		site, _ := from.WithZone("").Prefix(48) // valid, or Is6 were false
		keys = append(keys, key{network, "", site})
	}
	return append(keys, key{account, name, netip.Prefix{}})
}

// Network is what counts as one address: an IPv4 address, or the /64 of an
// IPv6 address, which is what one host has at its disposal. No address, as on
// a unix socket, is one address too.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for no address only, and is then no prefix
	return p
}

// get returns a bucket with what it regained, and the key it is under.
func (l *Limiter) get(k key, now time.Time) (key, *bucket) {
	b := l.buckets[k]
	if b == nil && len(l.buckets) >= maxBuckets {
		l.sweep(now)
		if len(l.buckets) >= maxBuckets {
			k = key{kind: k.kind, account: "(others)"}
			b = l.buckets[k]
		}
	}
	if b == nil {
		b = &bucket{tokens: rates[k.kind].burst, at: now}
		l.buckets[k] = b
	}
	b.regain(rates[k.kind], now)
	return k, b
}

func (b *bucket) regain(r rate, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = math.Min(r.burst, b.tokens+float64(passed)/float64(r.regain))
		b.at = now
	}
}

// sweep forgets the buckets that are full again, at most once a second.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for k, b := range l.buckets {
		if b.regain(rates[k.kind], now); b.tokens >= rates[k.kind].burst {
			delete(l.buckets, k)
		}
	}
}
