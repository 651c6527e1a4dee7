package master

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// Bounds of what the guard remembers and tolerates.
const (
	guardEvery    = 5 * time.Second
	hangsOn       = 5 * time.Minute  // two connections of one process: a renewal overlaps for less
	alternateIn   = 10 * time.Minute // a process that was replaced and returns within this time never ended
	alternateSlip = 5 * time.Second  // events of two servers may come in another order
	maxPast       = 4                // processes of one peel that are remembered
	maxLists      = 1024             // servers whose last list is remembered
)

// guard knows the connections of each peel and tells two things that no
// message shows: that two processes use one key, and that a peel sends to
// subjects where nobody listens.
//
// A peel's process names itself in its connection by a random mark (see
// bus.ConnName). A renewal makes a second connection of the same process for a
// moment, and after a restart the old process's connection may hang on until
// the server's pings have missed it; both end. Two that stay, or a mark that
// comes back after another one was there, is a copy of the host. That two stay
// is believed only when a list of their servers has both of them still: the
// end of a connection may not have been told. All times are by this master's
// clock.
type guard struct {
	flood FloodConfig
	grace time.Duration // how long connections of two processes may be there at once
	every time.Duration // between two lists of one server

	mu    sync.Mutex
	peels map[fleet.PeelID]*guarded
	lists map[string]time.Time // of each server, when its last one was begun
}

// guarded is one peel.
type guarded struct {
	conns []guardedConn
	now   seenMark           // of the process that connected last
	past  []seenMark         // of those before it, the latest last
	ended connection.Traffic // what connections sent that ended since the last list
	told  time.Time
}

type guardedConn struct {
	connection.ID
	mark    uint64
	address string
	since   time.Time          // when it was seen first
	listed  time.Time          // when the last list was begun that has it
	counted connection.Traffic // what it had sent then
	known   bool               // counted is known: of a list, or nothing at its begin
}

type seenMark struct {
	mark    uint64
	address string
	first   time.Time // when its first connection began
	last    time.Time // and its last, or when another process took its place
}

func newGuard(cfg Config) *guard {
	return &guard{flood: cfg.Flood, grace: cfg.CopyGrace, every: cfg.ListEvery, peels: map[fleet.PeelID]*guarded{}, lists: map[string]time.Time{}}
}

// verdict is a peel that is to be cut off.
type verdict struct {
	id fleet.PeelID
	s  fleet.Suspension
}

// parseMark reads the mark in a connection's name; 0 is none.
func parseMark(name string) uint64 {
	text, ok := bus.ConnMark(name)
	if !ok {
		return 0
	}
	mark, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0
	}
	return mark
}

// connected notes a connection that begins. It returns a suspension when the process was
// replaced by another one before, and so is one of two.
func (g *guard) connected(e connection.Entry, now time.Time) (s fleet.Suspension, twice bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.get(e.Peel)
	if p.has(e.ID) {
		return s, false
	}
	n := guardedConn{ID: e.ID, mark: parseMark(e.Name), address: e.Address, since: now, known: true}
	p.conns = append(p.conns, n)
	return p.note(n)
}

func (g *guard) get(id fleet.PeelID) *guarded {
	p := g.peels[id]
	if p == nil {
		p = &guarded{}
		g.peels[id] = p
	}
	return p
}

// note keeps the order in which processes connected.
func (p *guarded) note(n guardedConn) (s fleet.Suspension, twice bool) {
	if n.mark == 0 {
		return s, false
	}
	if n.mark == p.now.mark {
		p.now.last, p.now.address = n.since, n.address
		return s, false
	}
	before := p.now
	for _, old := range p.past {
		if old.mark != n.mark || n.since.Sub(old.last) > alternateIn || !n.since.After(before.first.Add(alternateSlip)) {
			continue
		}
		return copied(fmt.Sprintf("its key was used by one process, then by another, then by the first again, within %s", alternateIn),
			n.address, before.address), true
	}
	if before.mark != 0 {
		before.last = n.since
		p.past = append(p.past, before)
		p.past = p.past[max(0, len(p.past)-maxPast):]
	}
	p.now = seenMark{mark: n.mark, address: n.address, first: n.since, last: n.since}
	return s, false
}

func copied(detail, a, b string) fleet.Suspension {
	return fleet.Suspension{Reason: fleet.SuspendedCopy, Detail: detail, Since: time.Now().UTC(), Addresses: []string{a, b}}
}

// disconnected notes the end of a connection, and what it had sent.
func (g *guard) disconnected(e connection.Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peels[e.Peel]
	if p == nil {
		return
	}
	for i, n := range p.conns {
		if n.ID != e.ID {
			continue
		}
		p.conns = append(p.conns[:i], p.conns[i+1:]...)
		if n.known {
			p.ended.Msgs += e.Sent.Msgs - n.counted.Msgs
			p.ended.Bytes += e.Sent.Bytes - n.counted.Bytes
		}
		return
	}
}

// gone drops the connections of a server that has died.
func (g *guard) gone(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peels {
		p.conns = slices.DeleteFunc(p.conns, func(n guardedConn) bool { return n.Server == server })
	}
}

// suspicious reports whether there are two connections for too long that no
// list has confirmed yet.
func (g *guard) suspicious(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peels {
		if len(p.conns) >= 2 && now.Sub(p.told) >= tellAgain {
			if _, found := p.twice(now, g.grace, false); found {
				return true
			}
		}
	}
	return false
}

// copies returns the peels of which two processes are connected for too long.
func (g *guard) copies(now time.Time) []verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []verdict
	for id, p := range g.peels {
		if len(p.conns) < 2 || now.Sub(p.told) < tellAgain {
			continue
		}
		if s, found := p.twice(now, g.grace, true); found {
			p.told = now
			out = append(out, verdict{id, s})
		}
	}
	return out
}

// twice looks for two connections that are not of one process in a moment of
// its renewal. Confirmed says that lists must have had both for that long.
func (p *guarded) twice(now time.Time, grace time.Duration, confirmed bool) (fleet.Suspension, bool) {
	for i, a := range p.conns {
		for _, b := range p.conns[i+1:] {
			since, until := a.since, now
			if b.since.After(since) {
				since = b.since
			}
			if confirmed {
				if until = a.listed; b.listed.Before(until) {
					until = b.listed
				}
			}
			both := until.Sub(since)
			switch {
			case a.mark != b.mark && both > grace:
				return copied(fmt.Sprintf("two processes have been connected with its key for %s", both.Round(time.Second)), a.address, b.address), true
			case a.mark == b.mark && both > max(hangsOn, grace):
				return copied(fmt.Sprintf("two connections with its key and of one mark have stayed for %s", both.Round(time.Second)), a.address, b.address), true
			}
		}
	}
	return fleet.Suspension{}, false
}

// listed takes the whole list of one server's connections, which was begun at
// a time, and compares what each has sent with the list before.
func (g *guard) listed(server string, list []connection.Entry, began time.Time) []verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	passed := g.every
	if last, ok := g.lists[server]; ok {
		passed = began.Sub(last)
	}
	if len(g.lists) >= maxLists {
		clear(g.lists) // servers that were started anew have other names
	}
	g.lists[server] = began
	there := make(map[uint64]connection.Traffic, len(list))
	for _, e := range list {
		there[e.CID] = e.Sent
		if p := g.get(e.Peel); !p.has(e.ID) {
			n := guardedConn{ID: e.ID, mark: parseMark(e.Name), address: e.Address, since: began}
			p.conns = append(p.conns, n)
			if p.now.mark == 0 { // the order in which several began is not known
				p.note(n)
			}
		}
	}
	var out []verdict
	for id, p := range g.peels {
		if detail, loud := g.compare(p, server, there, began, passed); loud && began.Sub(p.told) >= tellAgain {
			p.told = began
			out = append(out, verdict{id, fleet.Suspension{Reason: fleet.SuspendedFlood, Detail: detail,
				Since: began.UTC(), Until: began.UTC().Add(g.flood.CutOff)}})
		}
		if len(p.conns) == 0 && began.Sub(p.now.last) > alternateIn {
			delete(g.peels, id)
		}
	}
	return out
}

func (p *guarded) has(c connection.ID) bool {
	for _, n := range p.conns {
		if n.ID == c {
			return true
		}
	}
	return false
}

// compare drops the connections that are gone from a server, and adds up what
// the others have sent since the last list.
func (g *guard) compare(p *guarded, server string, there map[uint64]connection.Traffic, began time.Time, passed time.Duration) (detail string, loud bool) {
	limit := g.flood
	sum := p.ended
	p.ended = connection.Traffic{}
	keep := p.conns[:0]
	for _, n := range p.conns {
		if n.Server != server {
			keep = append(keep, n)
			continue
		}
		sent, listed := there[n.CID]
		if !listed && n.since.Before(began) {
			continue // its end was not told
		}
		if listed && n.known {
			sum.Msgs += sent.Msgs - n.counted.Msgs
			sum.Bytes += sent.Bytes - n.counted.Bytes
		}
		if listed {
			n.counted, n.known, n.listed = sent, true, began
		}
		keep = append(keep, n)
	}
	p.conns = keep
	passed = max(passed, time.Duration(limit.Seconds)*time.Second)
	seconds := passed.Seconds()
	if float64(sum.Msgs) <= seconds*float64(limit.Messages) && float64(sum.Bytes) <= seconds*float64(limit.Bytes) {
		return "", false
	}
	return fmt.Sprintf("by its server's count it has sent %d messages with %d bytes in %s, also where nobody listens", sum.Msgs, sum.Bytes, passed.Round(time.Second)), true
}

// forget drops what is known of a peel whose id passes to another key.
func (g *guard) forget(id fleet.PeelID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peels[id]; p != nil {
		p.past, p.now = nil, seenMark{}
	}
}

// guardLoop looks for copies, and has the servers' lists confirm what it
// suspects.
func (m *Master) guardLoop(l *live, list func(context.Context) error) {
	for l.sleep(min(guardEvery, m.cfg.CopyGrace)) {
		if !l.guard.suspicious(time.Now()) {
			continue
		}
		if err := list(l.ctx); err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot read the list of connections, which would show whether a peel's host was copied", "error", err)
		}
		m.enforce(l, l.guard.copies(time.Now()))
	}
}

func (m *Master) enforce(l *live, found []verdict) {
	for _, v := range found {
		m.cutOff(l, v.id, v.s)
	}
}
