package pipeline

import (
	"maps"
	"slices"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

// maxEtherTypes is how many EtherTypes have a counter of their own.
const maxEtherTypes = 64

// Counters are what the ledger does not say, since the pipeline was made.
type Counters struct {
	Malformed  [packet.StatusCount]uint64 // by reason
	Panicked   uint64                     // packets that are malformed because a parser panicked on them
	EtherTypes map[uint16]uint64          // frames that are not IP; 802.3 frames are 0
	OtherTypes uint64                     // the same, of types that found the map full
	WiFi       WiFiCounters               // of 802.11 link types
	Fragments  uint64                     // IP fragments, all summarised
	Datagrams  flow.FragmentStats         // what became of them
	Flows      flow.Stats

	Parsers   []ParserCounters // by name
	Streams   int              // TCP connections that are followed
	HeldBytes int              // what is reserved for their segments
}

// WiFiCounters count the frames of 802.11 link types that are in no flow and
// not among the EtherTypes, and what is in flows beyond one packet per frame.
type WiFiCounters struct {
	Frames     uint64 // management and control frames, and data that cannot be read
	Malformed  uint64
	Aggregated uint64 // packets beyond the first of an aggregated frame, which the ledger does not count
}

func (c *Counters) frame(typ uint16) {
	if typ < 0x600 {
		typ = 0
	}
	if n, known := c.EtherTypes[typ]; known || len(c.EtherTypes) < maxEtherTypes {
		c.EtherTypes[typ] = n + 1
		return
	}
	c.OtherTypes++
}

// publish makes the counters as they are visible to Counters.
func (p *Pipeline) publish() {
	c := p.counters
	c.EtherTypes = maps.Clone(c.EtherTypes)
	c.Datagrams = p.frags.Stats()
	c.Flows = p.table.Stats()
	c.Parsers = p.parserCounters()
	c.Streams, c.HeldBytes = p.streams.Stats()
	p.shown.Store(&c)
}

// Counters returns the counters as they were at the last cut. It may be
// called by any goroutine; the map is not to be changed.
func (p *Pipeline) Counters() Counters { return *p.shown.Load() }

// pusher is a Datagrams parser that gives flows up for others.
type pusher interface{ Pushed() uint64 }

// parserCounters sums the counters by the parser's name: one may have an
// entry for TCP and one for UDP.
func (p *Pipeline) parserCounters() []ParserCounters {
	out := make([]ParserCounters, 0, len(p.parsers))
	add := func(name string, c *ParserCounters) {
		i := slices.IndexFunc(out, func(o ParserCounters) bool { return o.Name == name })
		if i < 0 {
			i = len(out)
			out = append(out, ParserCounters{Name: name})
		}
		out[i].add(c)
	}
	for i := range p.parsers {
		c := p.parsers[i].counters
		if d, ok := p.parsers[i].datagrams.(pusher); ok {
			c.Pushed += d.Pushed()
		}
		add(p.parsers[i].name, &c)
	}
	return out
}

// parserHealth is the same in short, of the parsers that did something.
func (p *Pipeline) parserHealth() (out []network.ParserHealth) {
	for _, c := range p.parserCounters() {
		h := network.ParserHealth{Name: c.Name, Recognised: c.Recognised, Transactions: c.Transactions, LeftOut: c.LeftOut,
			Malformed: c.Malformed, Panics: c.Panics, GivenUp: c.Gaps + c.Full + c.NoRoom + c.Pushed + c.Stale}
		if h != (network.ParserHealth{Name: c.Name}) {
			out = append(out, h)
		}
	}
	return out
}
