package master

import (
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// beatLife is how long a heartbeat counts as presence when nothing better is
// known: two of them.
const beatLife = 75 * time.Second

// presence knows who is on the bus. Connections come from the system account;
// without it, heartbeats decide.
type presence struct {
	system bool

	mu    sync.Mutex
	peels map[fleet.PeelID]*sighting
	on    map[string]int              // connections by their server
	up    int                         // peels that have one
	ended map[connection.ID]time.Time // connections that ended lately, against a list that is older than their end
}

// sighting is what is known of one peel's presence.
type sighting struct {
	conns   map[connection.ID]time.Time // with when they were seen first
	since   time.Time
	last    time.Time
	version string
	address string
}

func newPresence(system bool) *presence {
	return &presence{system: system, peels: map[fleet.PeelID]*sighting{}, on: map[string]int{}, ended: map[connection.ID]time.Time{}}
}

func (p *presence) get(id fleet.PeelID) *sighting {
	s := p.peels[id]
	if s == nil {
		s = &sighting{}
		p.peels[id] = s
	}
	return s
}

// connected notes a connection, and reports whether the peel was away before.
func (p *presence) connected(id fleet.PeelID, c connection.ID, address string, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(id, c, address, at, at)
}

// add takes two times: since when the connection is, by its server, and when
// it was seen, by this master.
func (p *presence) add(id fleet.PeelID, c connection.ID, address string, since, at time.Time) bool {
	s := p.get(id)
	came := len(s.conns) == 0
	if came {
		s.since = since
		s.conns = map[connection.ID]time.Time{}
		p.up++
	}
	if _, known := s.conns[c]; !known {
		s.conns[c] = at
		p.on[c.Server]++
	}
	if at.After(s.last) {
		s.last = at
	}
	s.address = address
	return came
}

// disconnected notes the end of a connection, and reports whether it was the
// peel's last.
func (p *presence) disconnected(id fleet.PeelID, c connection.ID, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended[c] = time.Now()
	return p.drop(id, c, at)
}

func (p *presence) drop(id fleet.PeelID, c connection.ID, at time.Time) bool {
	s := p.peels[id]
	if s == nil || len(s.conns) == 0 {
		return false
	}
	if _, known := s.conns[c]; !known {
		return false
	}
	delete(s.conns, c)
	p.left(c.Server)
	if at.After(s.last) {
		s.last = at
	}
	if len(s.conns) > 0 {
		return false
	}
	s.conns, s.since = nil, at
	p.up--
	return true
}

// left notes that a server has a connection less.
func (p *presence) left(server string) {
	if p.on[server]--; p.on[server] <= 0 {
		delete(p.on, server)
	}
}

// reconcile takes the whole list of one server's connections, which was begun
// at a time by this master's clock. Connections that came or went after that
// are left as they are. It reports whether anything changed.
func (p *presence) reconcile(server string, list []connection.Entry, began time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := false
	there := make(map[uint64]bool, len(list))
	for _, e := range list {
		c := e.ID
		there[c.CID] = true
		if at, ended := p.ended[c]; ended && at.After(began) {
			continue
		}
		if s := p.peels[e.Peel]; s == nil || s.conns[c].IsZero() {
			changed = p.add(e.Peel, c, e.Address, e.Start, began.Add(-time.Nanosecond)) || changed
		}
		if s := p.peels[e.Peel]; began.After(s.last) {
			s.last = began
		}
	}
	for id, s := range p.peels {
		for c, at := range s.conns {
			if c.Server == server && !there[c.CID] && at.Before(began) {
				changed = p.drop(id, c, time.Now()) || changed
			}
		}
	}
	for c, at := range p.ended {
		if at.Before(began.Add(-time.Minute)) {
			delete(p.ended, c)
		}
	}
	return changed
}

// gone drops the connections of a server that has died, and reports whether
// there were any.
func (p *presence) gone(server string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on[server] == 0 {
		return false
	}
	for id, s := range p.peels {
		for c := range s.conns {
			if c.Server == server {
				p.drop(id, c, time.Now())
			}
		}
	}
	return true
}

// servers returns those that a connection is known of.
func (p *presence) servers() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]bool{}
	for server := range p.on {
		out[server] = true
	}
	return out
}

// beat notes a heartbeat, and reports whether the peel was away before.
func (p *presence) beat(id fleet.PeelID, version string, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.get(id)
	came := !p.system && at.Sub(s.last) > beatLife
	if came {
		s.since = at
	}
	changed := came || s.version != version
	s.last, s.version = at, version
	return changed
}

func (p *presence) forget(id fleet.PeelID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.peels[id]; s != nil && len(s.conns) > 0 {
		p.up--
		for c := range s.conns {
			p.left(c.Server)
		}
	}
	delete(p.peels, id)
}

// fill writes what is known into a peel.
func (p *presence) fill(out *fleet.Peel, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out.Presence = fleet.Never
	s := p.peels[out.ID]
	if s == nil {
		return
	}
	out.Since, out.LastSeen, out.Version, out.Address = s.since, s.last, s.version, s.address
	switch {
	case len(s.conns) > 0:
		out.Presence, out.LastSeen = fleet.Connected, now
	case !p.system && now.Sub(s.last) <= beatLife:
		out.Presence = fleet.Connected
	case !p.system:
		out.Presence, out.Since = fleet.Away, s.last
	default:
		out.Presence = fleet.Away
	}
}

// count returns how many peels are connected.
func (p *presence) count(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.system {
		return p.up
	}
	n := 0
	for _, s := range p.peels {
		if len(s.conns) > 0 || now.Sub(s.last) <= beatLife {
			n++
		}
	}
	return n
}
