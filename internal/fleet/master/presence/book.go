// Package presence knows which peels are on the bus, and since when. What it
// knows is in memory alone: a master that starts learns it anew.
package presence

import (
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// beatLife is how long a heartbeat counts as presence when nothing better is
// known: two of them.
const beatLife = 75 * time.Second

// Book holds the presence of each peel. Connections come from the system
// account; without it, heartbeats decide. Use New.
type Book struct {
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

// New makes a book that knows of nobody yet. System says that it will be told
// of connections.
func New(system bool) *Book {
	return &Book{system: system, peels: map[fleet.PeelID]*sighting{}, on: map[string]int{}, ended: map[connection.ID]time.Time{}}
}

func (b *Book) get(id fleet.PeelID) *sighting {
	s := b.peels[id]
	if s == nil {
		s = &sighting{}
		b.peels[id] = s
	}
	return s
}

// Connected notes a connection, and reports whether the peel was away before.
func (b *Book) Connected(e connection.Entry, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.add(e, at, at)
}

// add takes two times: since when the connection is, by its server, and when
// it was seen, by this master.
func (b *Book) add(e connection.Entry, since, at time.Time) bool {
	s := b.get(e.Peel)
	came := len(s.conns) == 0
	if came {
		s.since = since
		s.conns = map[connection.ID]time.Time{}
		b.up++
	}
	if _, known := s.conns[e.ID]; !known {
		s.conns[e.ID] = at
		b.on[e.Server]++
	}
	if at.After(s.last) {
		s.last = at
	}
	s.address = e.Address
	return came
}

// Disconnected notes the end of a connection, and reports whether it was the
// peel's last.
func (b *Book) Disconnected(e connection.Entry, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended[e.ID] = at
	return b.drop(e.Peel, e.ID, at)
}

func (b *Book) drop(id fleet.PeelID, c connection.ID, at time.Time) bool {
	s := b.peels[id]
	if s == nil || len(s.conns) == 0 {
		return false
	}
	if _, known := s.conns[c]; !known {
		return false
	}
	delete(s.conns, c)
	b.left(c.Server)
	if at.After(s.last) {
		s.last = at
	}
	if len(s.conns) > 0 {
		return false
	}
	s.conns, s.since = nil, at
	b.up--
	return true
}

// left notes that a server has a connection less.
func (b *Book) left(server string) {
	if b.on[server]--; b.on[server] <= 0 {
		delete(b.on, server)
	}
}

// Listed takes the whole list of one server's connections, which was begun at a
// time by this master's clock. Connections that came or went after that are
// left as they are. It reports whether anything changed.
func (b *Book) Listed(server string, list []connection.Entry, began time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := false
	there := make(map[uint64]bool, len(list))
	for _, e := range list {
		there[e.CID] = true
		if at, ended := b.ended[e.ID]; ended && at.After(began) {
			continue
		}
		if s := b.peels[e.Peel]; s == nil || s.conns[e.ID].IsZero() {
			changed = b.add(e, e.Start, began.Add(-time.Nanosecond)) || changed
		}
		if s := b.peels[e.Peel]; began.After(s.last) {
			s.last = began
		}
	}
	for id, s := range b.peels {
		for c, at := range s.conns {
			if c.Server == server && !there[c.CID] && at.Before(began) {
				changed = b.drop(id, c, time.Now()) || changed
			}
		}
	}
	for c, at := range b.ended {
		if at.Before(began.Add(-time.Minute)) {
			delete(b.ended, c)
		}
	}
	return changed
}

// Gone drops the connections of a server that has died, and reports whether
// there were any.
func (b *Book) Gone(server string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on[server] == 0 {
		return false
	}
	for id, s := range b.peels {
		for c := range s.conns {
			if c.Server == server {
				b.drop(id, c, time.Now())
			}
		}
	}
	return true
}

// Servers returns those that a connection is known of.
func (b *Book) Servers() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]bool{}
	for server := range b.on {
		out[server] = true
	}
	return out
}

// Beat notes a heartbeat, and reports whether it says anything new: that the
// peel is there, or that it has another version.
func (b *Book) Beat(id fleet.PeelID, version string, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.get(id)
	came := !b.system && at.Sub(s.last) > beatLife
	if came {
		s.since = at
	}
	changed := came || s.version != version
	s.last, s.version = at, version
	return changed
}

// Forget drops what is known of a peel.
func (b *Book) Forget(id fleet.PeelID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.peels[id]; s != nil && len(s.conns) > 0 {
		b.up--
		for c := range s.conns {
			b.left(c.Server)
		}
	}
	delete(b.peels, id)
}

// Fill writes what is known into a peel.
func (b *Book) Fill(out *fleet.Peel, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out.Presence = fleet.Never
	s := b.peels[out.ID]
	if s == nil {
		return
	}
	out.Since, out.LastSeen, out.Version, out.Address = s.since, s.last, s.version, s.address
	switch {
	case len(s.conns) > 0:
		out.Presence, out.LastSeen = fleet.Connected, now
	case !b.system && now.Sub(s.last) <= beatLife:
		out.Presence = fleet.Connected
	case !b.system:
		out.Presence, out.Since = fleet.Away, s.last
	default:
		out.Presence = fleet.Away
	}
}

// Count returns how many peels are connected.
func (b *Book) Count(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.system {
		return b.up
	}
	n := 0
	for _, s := range b.peels {
		if len(s.conns) > 0 || now.Sub(s.last) <= beatLife {
			n++
		}
	}
	return n
}
