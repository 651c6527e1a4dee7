package peel

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
)

// Pace of deliveries.
const (
	ackWait       = 5 * time.Second  // at the first try
	lastAckWait   = 40 * time.Second // a master that is behind is not helped by being asked again
	firstRetry    = 250 * time.Millisecond
	lastRetry     = 30 * time.Second
	noMasterRetry = 2 * time.Second
	keepReturns   = 7 * 24 * time.Hour // as long as masters keep a job
	deliveries    = 4                  // at the same time
	waitForConns  = 500 * time.Millisecond
	betweenHints  = time.Second // between two questions for returns that are listened to
)

// courier brings returns to the bus and asks again until each is acknowledged:
// a publish that is not can vanish without a trace.
type courier struct {
	p    *Peel
	r    *running
	slot chan struct{}

	mu     sync.Mutex
	hinted time.Time // when a master asked for a return last
}

func newCourier(p *Peel, r *running) *courier {
	return &courier{p: p, r: r, slot: make(chan struct{}, deliveries)}
}

// resume delivers what an earlier process has left.
func (c *courier) resume() {
	for _, jid := range c.r.spool.Jobs() {
		c.p.metrics.spooled.Inc()
		c.insist(jid, firstRetry, ackWait)
	}
}

// deliver brings a return that was spooled, in its JSON form, to the bus in the
// background. The first try of one that fits into a message takes no goroutine:
// there is nothing to do but wait for the answer.
func (c *courier) deliver(jid string, ret []byte, patience time.Duration) {
	c.p.metrics.spooled.Inc()
	if len(ret) > job.ChunkSize || !c.take() {
		c.insist(jid, firstRetry, patience)
		return
	}
	c.r.link.call(bus.ReturnSubject(jid, c.p.id, 0), ret, patience, func(_ []byte, err error) {
		<-c.slot
		if done, err := c.settle(jid, err); done {
			c.p.metrics.spooled.Dec()
		} else {
			wait, patience := c.pace(jid, err, firstRetry, patience, true)
			c.later(jid, wait, patience)
		}
	})
}

// again delivers a return that waits for its acknowledgement once more, since
// a master that has taken up the job sends it to whoever has not answered. It
// reports whether there is such a return.
func (c *courier) again(jid string) bool {
	if !c.r.spool.Has(jid) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.hinted) < betweenHints || !c.take() {
		return true // it comes by itself
	}
	c.hinted = time.Now()
	_, b, err := c.r.spool.Get(jid)
	if err != nil || len(b) > job.ChunkSize {
		<-c.slot
		return true
	}
	c.r.link.call(bus.ReturnSubject(jid, c.p.id, 0), b, ackWait, func(_ []byte, err error) {
		<-c.slot
		if err == nil {
			_, _ = c.settle(jid, nil) // else it goes on as before
		}
	})
	return true
}

// take takes a place among the deliveries, if one is free.
func (c *courier) take() bool {
	select {
	case c.slot <- struct{}{}:
		return true
	default:
		return false
	}
}

// later goes on with insist after a pause.
func (c *courier) later(jid string, wait, patience time.Duration) {
	c.r.begin(func() {
		if c.r.sleep(wait/2 + rand.N(wait)) {
			c.untilDone(jid, wait, patience)
		}
	})
}

func (c *courier) insist(jid string, wait, patience time.Duration) {
	c.r.begin(func() { c.untilDone(jid, wait, patience) })
}

// untilDone tries until there is nothing more to do for a return.
func (c *courier) untilDone(jid string, wait, patience time.Duration) {
	defer c.p.metrics.spooled.Dec()
	for first := true; ; first = false {
		done, err := c.try(jid, patience)
		if done {
			return
		}
		wait, patience = c.pace(jid, err, wait, patience, first)
		if !c.r.sleep(wait/2 + rand.N(wait)) {
			return
		}
	}
}

// pace says how long to wait after a try that failed, and how long the next
// one may take.
func (c *courier) pace(jid string, err error, wait, patience time.Duration, first bool) (time.Duration, time.Duration) {
	if errors.Is(err, context.DeadlineExceeded) {
		patience = min(2*patience, lastAckWait)
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		return waitForConns, patience
	}
	c.p.metrics.retries.Inc()
	if !first {
		c.p.log.Warn("a return is not acknowledged yet", "jid", jid, "error", err)
	}
	wait = min(2*wait, lastRetry)
	if errors.Is(err, bus.ErrNoMaster) { // the broker says so at once, and asking costs little
		wait = min(wait, noMasterRetry)
	}
	return wait, patience
}

// try publishes all parts of a return. It is done when they are acknowledged,
// or when there is nothing to wait for any more.
func (c *courier) try(jid string, patience time.Duration) (bool, error) {
	select {
	case c.slot <- struct{}{}:
		defer func() { <-c.slot }()
	case <-c.r.ctx.Done():
		return true, nil
	}
	ret, b, err := c.r.spool.Get(jid)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.p.log.Error("a spooled return is lost", "jid", jid, "error", err)
			c.p.metrics.lost.Inc()
		}
		return true, c.r.spool.Remove(jid)
	}
	if time.Since(ret.Finished) > keepReturns {
		c.p.log.Warn("a return is older than what masters keep, and is given up", "jid", jid)
		c.p.metrics.lost.Inc()
		return true, c.r.spool.Remove(jid)
	}
	return c.settle(jid, c.publish(jid, b, patience))
}

// settle takes what became of a try.
func (c *courier) settle(jid string, err error) (bool, error) {
	if errors.Is(err, bus.ErrRefused) {
		c.p.log.Error("a return is not taken, and is given up", "jid", jid, "error", err)
		c.p.metrics.lost.Inc()
		return true, c.r.spool.Remove(jid)
	}
	if err != nil {
		return false, err
	}
	if !c.r.spool.Has(jid) {
		return true, nil // it was acknowledged twice
	}
	c.p.metrics.returned.Inc()
	if err := c.r.spool.Remove(jid); err != nil {
		c.p.log.Error("cannot clear a spooled return", "jid", jid, "error", err)
	}
	return true, nil
}

// publish sends the parts in their order. A master drops a part that is stored
// already, when only its answer was lost.
func (c *courier) publish(jid string, ret []byte, patience time.Duration) error {
	parts, err := job.Split(ret)
	if err != nil {
		return err
	}
	for n, part := range parts {
		if err := c.r.link.tell(c.r.ctx, bus.ReturnSubject(jid, c.p.id, n), part, patience); err != nil {
			return err
		}
	}
	return nil
}
