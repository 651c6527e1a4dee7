package registrar

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rind-project/rind/internal/base/errs"
)

// maxAddresses bounds how many addresses a limiter tells apart.
const maxAddresses = 1 << 16

// limiter counts per address, before any work is done for it. IPv6 addresses
// count per /64, which is what one host gets.
type limiter struct {
	per   rate.Limit
	burst int
	now   func() time.Time

	mu     sync.Mutex
	byAddr map[netip.Addr]*rate.Limiter
}

func newLimiter(perSecond float64, burst int, now func() time.Time) *limiter {
	return &limiter{per: rate.Limit(perSecond), burst: burst, now: now, byAddr: map[netip.Addr]*rate.Limiter{}}
}

// allow returns an error when the address asks too often.
func (l *limiter) allow(addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr = network(addr)
	lim := l.byAddr[addr]
	if lim == nil {
		if len(l.byAddr) >= maxAddresses {
			l.shed()
		}
		lim = rate.NewLimiter(l.per, l.burst)
		l.byAddr[addr] = lim
	}
	if !lim.AllowN(l.now(), 1) {
		return errs.New(errs.RateLimited, "too many enrollment requests from %s; try again in a few seconds", addr)
	}
	return nil
}

// shed forgets the addresses that are back at their full allowance, and, when
// that is not enough, any.
func (l *limiter) shed() {
	now := l.now()
	for a, lim := range l.byAddr {
		if lim.TokensAt(now) >= float64(l.burst) {
			delete(l.byAddr, a)
		}
	}
	for a := range l.byAddr {
		if len(l.byAddr) < maxAddresses/2 {
			return
		}
		delete(l.byAddr, a)
	}
}

func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
