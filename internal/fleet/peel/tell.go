package peel

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
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
	f, err := facts.Collect(ctx, "")
	f.ID, f.Peel.Version = h.p.id, h.p.deps.Version
	return f, err
}

// factsLoop publishes the facts once when the peel has connected, and then
// when they have changed.
func (p *Peel) factsLoop(r *running) {
	select {
	case <-r.link.ready:
	case <-r.ctx.Done():
		return
	}
	var published [32]byte
	var boot time.Time
	for {
		wait := p.cfg.Facts.Interval*9/10 + rand.N(p.cfg.Facts.Interval/5+1)
		f, err := host{p}.Facts(r.ctx)
		var sum [32]byte
		if err == nil {
			sum, err = facts.Hash(f, boot)
		}
		if err == nil && sum != published {
			if p.publishFacts(r, f) {
				published, boot = sum, f.BootTime
				if sum, err = facts.Hash(f, boot); err == nil {
					published = sum
				}
			}
		}
		if err != nil && r.ctx.Err() == nil {
			p.log.Warn("cannot collect facts", "error", err)
		}
		if !r.sleep(wait) {
			return
		}
	}
}

// publishFacts tries until the facts are acknowledged, or are old enough to be
// collected again.
func (p *Peel) publishFacts(r *running, f fleet.Facts) bool {
	data, err := facts.Encode(f)
	if err != nil {
		p.log.Error("cannot encode facts", "error", err)
		return false
	}
	wait := time.Second
	for began := time.Now(); time.Since(began) < p.cfg.Facts.Interval; wait = min(2*wait, lastRetry) {
		err := r.link.tell(r.ctx, bus.FactsSubject(p.id), data)
		if err == nil {
			p.metrics.facts.Inc()
			return true
		}
		if errors.Is(err, bus.ErrRefused) {
			p.log.Error("the facts are not taken", "error", err)
			return false
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

// heartbeatLoop says that the peel lives: some 60 bytes every 25 s.
func (p *Peel) heartbeatLoop(r *running) {
	data, err := json.Marshal(beat{Version: p.deps.Version})
	if err != nil {
		p.log.Error("cannot encode the heartbeat", "error", err)
		return
	}
	select {
	case <-r.link.ready:
	case <-r.ctx.Done():
		return
	}
	for {
		if s := r.link.current(); s.Connected() {
			_ = s.Publish(bus.HeartbeatSubject(p.id), data) // the next one follows
		}
		if !r.sleep(p.cfg.Heartbeat*9/10 + rand.N(p.cfg.Heartbeat/5+1)) {
			return
		}
	}
}
