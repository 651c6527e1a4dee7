// Package guard watches over what peels do to the bus, and tells which of them
// are to be kept off it: those that send more than they may, and those whose
// key two processes use, since their host was copied.
package guard

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// Bounds of what the guard tolerates.
const (
	lookEvery = 5 * time.Second
	tellAgain = 10 * time.Second // before the same peel is reported again
	maxLists  = 1024             // servers whose last list is remembered
)

// Config is what a guard tolerates. Limits that are zero take the defaults.
type Config struct {
	Flood     Limits
	CopyGrace time.Duration // how long connections of two processes may be there at once
	ListEvery time.Duration // between two lists of one server
}

// Deps are what a guard needs.
type Deps struct {
	Log *slog.Logger
	// CutOff has a peel kept off the bus. It does not wait for that; a peel that
	// is there still is reported again after a while.
	CutOff func(fleet.PeelID, fleet.Suspension)
	// Dropped counts the messages that are dropped.
	Dropped prometheus.Counter
}

// Guard knows the connections of each peel and what it sends. Use New.
//
// Of the messages that masters hear, the peel's own are metered one by one.
// Two things no message shows: that two processes use one key, and that a peel
// sends to subjects where nobody listens; those the connections tell, and what
// the servers count of each.
//
// All times are by this master's clock.
type Guard struct {
	cfg   Config
	deps  Deps
	meter *meter

	mu    sync.Mutex
	peels map[fleet.PeelID]*guarded
	lists map[string]time.Time // of each server, when its last one was begun
}

// guarded is one peel.
type guarded struct {
	conns []conn
	now   process            // that connected last
	past  []process          // those before it, the latest last
	ended connection.Traffic // what connections sent that ended since the last list
	told  time.Time          // when it was reported
}

type conn struct {
	connection.ID
	mark    uint64
	address string
	since   time.Time          // when it was seen first
	listed  time.Time          // when the last list was begun that has it
	counted connection.Traffic // what it had sent then
	known   bool               // counted is known: of a list, or nothing at its begin
}

// New makes a guard that has seen nobody yet.
func New(cfg Config, deps Deps) *Guard {
	cfg.Flood.fill()
	return &Guard{cfg: cfg, deps: deps, meter: newMeter(cfg.Flood), peels: map[fleet.PeelID]*guarded{}, lists: map[string]time.Time{}}
}

// Metered lets through to next what the pace of the peel allows that a
// message's subject names. What comes to two subscriptions of this master is
// counted at one of them.
func (g *Guard) Metered(counted bool, next nats.MsgHandler) nats.MsgHandler {
	return func(msg *nats.Msg) {
		id, _, ok := bus.ParseFrom(msg.Subject)
		if !ok {
			next(msg) // it counts what is malformed
			return
		}
		if counted && g.Passes(id, len(msg.Data)+len(msg.Subject)) || !counted && !g.meter.above(id, time.Now()) {
			next(msg)
		}
	}
}

// Passes counts a message of a peel, and reports whether the peel's pace allows
// it. One that was above its pace for too long is cut off.
func (g *Guard) Passes(id fleet.PeelID, size int) bool {
	now := time.Now()
	pass, report := g.meter.take(id, size, now)
	if pass {
		return true
	}
	g.deps.Dropped.Inc()
	if report != "" {
		g.deps.CutOff(id, g.flood(report, now))
	}
	return false
}

func (g *Guard) flood(detail string, now time.Time) fleet.Suspension {
	return fleet.Suspension{Reason: fleet.SuspendedFlood, Detail: detail, Since: now.UTC(), Until: now.UTC().Add(g.cfg.Flood.CutOff)}
}

// Connected notes a connection that begins. Its peel is cut off when the
// process was replaced by another one before, and so is one of two.
func (g *Guard) Connected(e connection.Entry, now time.Time) {
	g.mu.Lock()
	s, twice := g.note(e, now)
	g.mu.Unlock()
	if twice {
		g.deps.CutOff(e.Peel, s)
	}
}

func (g *Guard) note(e connection.Entry, now time.Time) (s fleet.Suspension, twice bool) {
	p := g.get(e.Peel)
	if p.has(e.ID) {
		return s, false
	}
	c := conn{ID: e.ID, mark: parseMark(e.Name), address: e.Address, since: now, known: true}
	p.conns = append(p.conns, c)
	return p.note(c)
}

func (g *Guard) get(id fleet.PeelID) *guarded {
	p := g.peels[id]
	if p == nil {
		p = &guarded{}
		g.peels[id] = p
	}
	return p
}

func (p *guarded) has(id connection.ID) bool {
	return slices.ContainsFunc(p.conns, func(c conn) bool { return c.ID == id })
}

// Disconnected notes the end of a connection, and what it had sent. Of a peel
// that was cut off nothing is held against it when it may come back: this
// master or another one has judged what it sent.
func (g *Guard) Disconnected(e connection.Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peels[e.Peel]
	if p == nil {
		return
	}
	i := slices.IndexFunc(p.conns, func(c conn) bool { return c.ID == e.ID })
	if i < 0 {
		return
	}
	if c := p.conns[i]; e.Revoked {
		p.ended = connection.Traffic{}
	} else if c.known {
		p.ended.Msgs += e.Sent.Msgs - c.counted.Msgs
		p.ended.Bytes += e.Sent.Bytes - c.counted.Bytes
	}
	p.conns = slices.Delete(p.conns, i, i+1)
}

// Gone drops the connections of a server that has died.
func (g *Guard) Gone(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peels {
		p.conns = slices.DeleteFunc(p.conns, func(c conn) bool { return c.Server == server })
	}
}

// Forget drops what is known of a peel whose id passes to another key.
func (g *Guard) Forget(id fleet.PeelID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peels[id]; p != nil {
		p.past, p.now = nil, process{}
	}
}

// Watch looks for copies until ctx ends, and has the servers' lists read, to
// confirm what it suspects.
func (g *Guard) Watch(ctx context.Context, list func(context.Context) error) {
	for {
		select {
		case <-time.After(min(lookEvery, g.cfg.CopyGrace)):
		case <-ctx.Done():
			return
		}
		if !g.suspicious(time.Now()) {
			continue
		}
		if err := list(ctx); err != nil && ctx.Err() == nil {
			g.deps.Log.Warn("cannot read the list of connections, which would show whether a peel's host was copied", "error", err)
		}
		g.copies(time.Now())
	}
}

// verdict is a peel that is to be cut off.
type verdict struct {
	id fleet.PeelID
	s  fleet.Suspension
}

func (g *Guard) cutOff(found []verdict) {
	for _, v := range found {
		g.deps.CutOff(v.id, v.s)
	}
}
