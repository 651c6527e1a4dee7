// Package pace bounds how often each peel may do something.
package pace

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rind-project/rind/internal/fleet"
)

// maxPeels bounds the peels whose pace is remembered.
const maxPeels = 1 << 17

// Pace is a token bucket for each peel. Use New.
type Pace struct {
	per   rate.Limit
	burst int

	mu sync.Mutex
	by map[fleet.PeelID]*rate.Limiter
}

// New makes a pace of so many times a second, and at once as many as burst.
func New(perSecond float64, burst int) *Pace {
	return &Pace{per: rate.Limit(perSecond), burst: burst, by: map[fleet.PeelID]*rate.Limiter{}}
}

// Allow takes one from what the peel may, and reports false when there is
// nothing left.
func (p *Pace) Allow(id fleet.PeelID, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	lim := p.by[id]
	if lim == nil {
		if len(p.by) >= maxPeels {
			p.shed(now)
		}
		lim = rate.NewLimiter(p.per, p.burst)
		p.by[id] = lim
	}
	return lim.AllowN(now, 1)
}

// shed forgets the peels that are back at their full allowance, and when there
// are none, all.
func (p *Pace) shed(now time.Time) {
	before := len(p.by)
	for id, lim := range p.by {
		if lim.TokensAt(now) >= float64(p.burst) {
			delete(p.by, id)
		}
	}
	if len(p.by) == before {
		clear(p.by)
	}
}
