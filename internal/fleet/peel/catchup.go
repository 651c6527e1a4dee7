package peel

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of asking for what was missed.
const (
	catchUpSpread = 200 * time.Millisecond // so that a fleet that is back does not ask in step
	maxHave       = 512                    // jobs that are named as being here
)

// catcher asks for what was missed, once at a time.
type catcher struct {
	mu      sync.Mutex
	running bool
	again   bool // connected anew meanwhile
}

// catchUpSoon asks the masters, each time the peel has connected, for the jobs
// that it missed, until one answers. They come on the peel's job subject.
func (p *Peel) catchUpSoon(r *running) {
	c := &r.catcher
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		c.again = true
		return
	}
	c.running = true
	r.begin(func() {
		for p.catchUpUntilAnswered(r); c.more() && r.ctx.Err() == nil; {
			p.catchUpUntilAnswered(r)
		}
	})
}

// more reports whether to ask once more; if not, nothing runs any longer.
func (c *catcher) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.again = c.again, false
	return c.running
}

func (p *Peel) catchUpUntilAnswered(r *running) {
	if !r.sleep(rand.N(catchUpSpread)) {
		return
	}
	patience := ackWait
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := p.catchUp(r, patience)
		if err == nil || errors.Is(err, bus.ErrRefused) || !r.link.up() {
			return // a connection that is made anew asks again
		}
		if errors.Is(err, context.DeadlineExceeded) {
			patience = min(2*patience, lastAckWait)
		}
		p.metrics.retries.Inc()
		if !r.sleep(wait/2 + rand.N(wait)) {
			return
		}
	}
}

func (p *Peel) catchUp(r *running, patience time.Duration) error {
	have := append(r.active.names(), r.spool.Jobs()...)
	slices.Sort(have)
	have = slices.Compact(have)
	data, err := json.Marshal(bus.CatchUp{Have: have[max(0, len(have)-maxHave):]})
	if err != nil {
		return err
	}
	_, err = r.link.ask(r.ctx, bus.AskSubject(p.id, bus.CatchUpAsk), data, patience)
	return err
}
