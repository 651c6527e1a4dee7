package peel

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/facts"
)

// host is what functions ask of the peel.
type host struct{ p *Peel }

// ID returns the peel's id.
func (h host) ID() fleet.PeelID { return h.p.id }

// Version returns the version of the peel's binary.
func (h host) Version() string { return h.p.deps.Version }

// Facts collects the facts as they are now.
func (h host) Facts(ctx context.Context) (fleet.Facts, error) {
	collect := h.p.deps.Facts
	if collect == nil {
		collect = func(ctx context.Context) (fleet.Facts, error) { return facts.Collect(ctx, "") }
	}
	f, err := collect(ctx)
	f.ID, f.Peel.Version = h.p.id, h.p.deps.Version
	return f, err
}

// speak begins what a peel says by itself. It is connected for the first time.
func (p *Peel) speak(r *running) {
	timer := r.again(0, (&teller{p: p, r: r}).look)
	r.mu.Lock()
	r.facts = timer
	r.mu.Unlock()
	data, err := json.Marshal(beat{Version: p.deps.Version})
	if err != nil {
		p.log.Error("cannot encode the heartbeat", "error", err)
		return
	}
	// The server hears from the peel by a heartbeat, which masters take now and
	// then, and by a ping, which the server answers, in turns: each wakes the
	// other side of the other, and a fleet sends them all day.
	turn := 0
	r.again(0, func() time.Duration {
		s := r.link.current()
		switch {
		case !s.Connected() || turn%2 == 1:
			s.Test()
		case r.hello.Swap(false) || turn%beatTurns == 0:
			_ = s.Publish(bus.HeartbeatSubject(p.id), data) // the next one follows
		default:
			_ = s.Publish(bus.StillSubject(p.id), data)
		}
		turn++
		return p.cfg.Heartbeat*9/10 + rand.N(p.cfg.Heartbeat/10+1)
	})
}

// beatTurns is how often something is said until the heartbeat is for masters
// again: some five minutes. A master that came meanwhile knows the peel by its
// connection, and learns its version then.
const beatTurns = 16

// teller publishes the facts once when the peel has connected, and then when
// they have changed.
type teller struct {
	p *Peel
	r *running

	mu        sync.Mutex
	published [32]byte
	boot      time.Time
}

// look collects the facts, publishes them if they are news, and returns when
// to look again.
func (t *teller) look() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := host{t.p}.Facts(t.r.ctx)
	var sum [32]byte
	if err == nil {
		sum, err = facts.Hash(f, t.boot)
	}
	if err == nil && sum != t.published {
		if t.p.publishFacts(t.r, f) {
			t.published, t.boot = sum, f.BootTime
			if sum, err = facts.Hash(f, t.boot); err == nil {
				t.published = sum
			}
		}
	}
	if err != nil && t.r.ctx.Err() == nil {
		t.p.log.Warn("cannot collect facts", "error", err)
	}
	return t.p.cfg.Facts.Interval*9/10 + rand.N(t.p.cfg.Facts.Interval/5+1)
}

// publishFacts tries until the facts are acknowledged, or are old enough to be
// collected again.
func (p *Peel) publishFacts(r *running, f fleet.Facts) bool {
	data, err := facts.Encode(f)
	if err != nil {
		p.log.Error("cannot encode facts", "error", err)
		return false
	}
	wait, patience := time.Second, ackWait
	for began := time.Now(); time.Since(began) < p.cfg.Facts.Interval; wait = min(2*wait, lastRetry) {
		err := r.link.tell(r.ctx, bus.FactsSubject(p.id), data, patience)
		if err == nil {
			p.metrics.facts.Inc()
			return true
		}
		if errors.Is(err, bus.ErrRefused) {
			p.log.Error("the facts are not taken", "error", err)
			return false
		}
		if errors.Is(err, context.DeadlineExceeded) {
			patience = min(2*patience, lastAckWait)
		}
		p.metrics.retries.Inc()
		p.log.Debug("facts are not acknowledged yet", "error", err)
		if !r.sleep(wait/2 + rand.N(wait)) {
			return false
		}
	}
	return false
}

// beat is the payload of a heartbeat.
type beat struct {
	Version string `json:"v"`
}
