package guard

import (
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// Listed takes the whole list of one server's connections, which was begun at a
// time, and compares what each has sent with the list before. Peels that have
// sent more than they may are cut off.
func (g *Guard) Listed(server string, list []connection.Entry, began time.Time) {
	g.cutOff(g.listed(server, list, began))
}

func (g *Guard) listed(server string, list []connection.Entry, began time.Time) []verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	passed := g.cfg.ListEvery
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
			c := conn{ID: e.ID, mark: parseMark(e.Name), address: e.Address, since: began}
			p.conns = append(p.conns, c)
			if p.now.mark == 0 { // the order in which several began is not known
				p.note(c)
			}
		}
	}
	var out []verdict
	for id, p := range g.peels {
		if detail, loud := g.compare(p, server, there, began, passed); loud && began.Sub(p.told) >= tellAgain {
			p.told = began
			out = append(out, verdict{id, g.flood(detail, began)})
		}
		if len(p.conns) == 0 && began.Sub(p.now.last) > alternateIn {
			delete(g.peels, id)
		}
	}
	return out
}

// compare drops the connections that are gone from a server, and adds up what
// the others have sent since the last list.
func (g *Guard) compare(p *guarded, server string, there map[uint64]connection.Traffic, began time.Time, passed time.Duration) (detail string, loud bool) {
	limit := g.cfg.Flood
	sum := p.ended
	p.ended = connection.Traffic{}
	keep := p.conns[:0]
	for _, c := range p.conns {
		if c.Server != server {
			keep = append(keep, c)
			continue
		}
		sent, listed := there[c.CID]
		if !listed && c.since.Before(began) {
			continue // its end was not told
		}
		if listed && c.known {
			sum.Msgs += sent.Msgs - c.counted.Msgs
			sum.Bytes += sent.Bytes - c.counted.Bytes
		}
		if listed {
			c.counted, c.known, c.listed = sent, true, began
		}
		keep = append(keep, c)
	}
	p.conns = keep
	passed = max(passed, time.Duration(limit.Seconds)*time.Second)
	seconds := passed.Seconds()
	if float64(sum.Msgs) <= seconds*float64(limit.Messages) && float64(sum.Bytes) <= seconds*float64(limit.Bytes) {
		return "", false
	}
	return fmt.Sprintf("by its server's count it has sent %d messages with %d bytes in %s, also where nobody listens", sum.Msgs, sum.Bytes, passed.Round(time.Second)), true
}
