package pipeline

import (
	"maps"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

// maxEtherTypes is how many EtherTypes have a counter of their own.
const maxEtherTypes = 64

// Counters are what the ledger does not say, since the pipeline was made.
type Counters struct {
	Malformed  [packet.StatusCount]uint64 // by reason
	Panics     uint64                     // packets on which a parser panicked
	EtherTypes map[uint16]uint64          // frames that are not IP; 802.3 frames are 0
	OtherTypes uint64                     // the same, of types that found the map full
	Fragments  uint64                     // IP fragments, all summarised
	Flows      flow.Stats

	DNSMalformed uint64 // payloads on port 53 that are no DNS message
	DNSPushed    uint64 // questions reported early, because too many waited
	DNSOver      uint64 // records left out of a report that was full
	TLSMalformed uint64 // ClientHellos that could not be read
	TLSOver      uint64 // as DNSOver

	StreamGaps     uint64 // TCP streams given up: a segment was missing
	StreamsRefused uint64 // no room to put segments together
	StreamsStale   uint64 // given up: nothing more came
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
	c.Flows = p.table.Stats()
	c.DNSPushed = p.matcher.Pushed()
	p.shown.Store(&c)
}

// Counters returns the counters as they were at the last cut. It may be
// called by any goroutine; the map is not to be changed.
func (p *Pipeline) Counters() Counters { return *p.shown.Load() }
