package guard

import (
	"fmt"
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// A peel's process names itself in its connection by a random mark (see
// bus.ConnName). A renewal makes a second connection of the same process for a
// moment, and after a restart the old process's connection may hang on until
// the server's pings have missed it; both end. Two that stay, or a mark that
// comes back after another one was there, is a copy of the host. That two stay
// is believed only when a list of their servers has both of them still: the
// end of a connection may not have been told.
const (
	hangsOn       = 5 * time.Minute  // two connections of one process: a renewal overlaps for less
	alternateIn   = 10 * time.Minute // a process that was replaced and returns within this time never ended
	alternateSlip = 5 * time.Second  // events of two servers may come in another order
	maxPast       = 4                // processes of one peel that are remembered
)

// process is one that used a peel's key.
type process struct {
	mark    uint64
	address string
	first   time.Time // when its first connection began
	last    time.Time // and its last, or when another process took its place
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

// note keeps the order in which processes connected.
func (p *guarded) note(c conn) (s fleet.Suspension, twice bool) {
	if c.mark == 0 {
		return s, false
	}
	if c.mark == p.now.mark {
		p.now.last, p.now.address = c.since, c.address
		return s, false
	}
	before := p.now
	for _, old := range p.past {
		if old.mark != c.mark || c.since.Sub(old.last) > alternateIn || !c.since.After(before.first.Add(alternateSlip)) {
			continue
		}
		return copied(fmt.Sprintf("its key was used by one process, then by another, then by the first again, within %s", alternateIn),
			c.address, before.address), true
	}
	if before.mark != 0 {
		before.last = c.since
		p.past = append(p.past, before)
		p.past = p.past[max(0, len(p.past)-maxPast):]
	}
	p.now = process{mark: c.mark, address: c.address, first: c.since, last: c.since}
	return s, false
}

func copied(detail, a, b string) fleet.Suspension {
	return fleet.Suspension{Reason: fleet.SuspendedCopy, Detail: detail, Since: time.Now().UTC(), Addresses: []string{a, b}}
}

// suspicious reports whether there are two connections for too long that no
// list has confirmed yet.
func (g *Guard) suspicious(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peels {
		if len(p.conns) >= 2 && now.Sub(p.told) >= tellAgain {
			if _, found := p.twice(now, g.cfg.CopyGrace, false); found {
				return true
			}
		}
	}
	return false
}

// copies cuts off the peels of which two processes are connected for too long.
func (g *Guard) copies(now time.Time) {
	g.mu.Lock()
	var out []verdict
	for id, p := range g.peels {
		if len(p.conns) < 2 || now.Sub(p.told) < tellAgain {
			continue
		}
		if s, found := p.twice(now, g.cfg.CopyGrace, true); found {
			p.told = now
			out = append(out, verdict{id, s})
		}
	}
	g.mu.Unlock()
	g.cutOff(out)
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
