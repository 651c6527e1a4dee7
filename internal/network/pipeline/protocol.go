package pipeline

import (
	"slices"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

// protocol is a parser and how its flows are recognised: by what the payload
// looks like, on its own ports first.
type protocol struct {
	name  string
	app   uint8    // what Flow.App becomes; 0 leaves it
	ports []uint16 // hints
	// server is the port whose holder is the server, whoever spoke first; 0
	// leaves it to the flow.
	server uint16
	// only says that a payload tells too little: it is looked at on these ports
	// alone.
	only bool
	// looks reports whether what a side sends begins like the protocol. When it
	// is nil the parser is asked itself, on its ports.
	looks func(side int, b []byte) bool
	// greets takes the place of looks on the ports, where less is enough.
	greets func(side int, b []byte) bool

	stream    func() parse.Stream // of TCP; nil without a parser: the flow is named only
	datagrams parse.Datagrams     // of UDP; nil likewise
	sums      parse.Cutter        // keeps rows until a report is closed
	perSecond int                 // payloads that are given to the parser in a second of the traffic's time; 0 is all
}

// ParserCounters are what one parser did since the pipeline was made. Flows
// that it does not read to their end are in one of the last six.
type ParserCounters struct {
	Name         string `json:"name"`
	Recognised   uint64 `json:"recognised"`   // flows
	Transactions uint64 `json:"transactions"` // rows that it reported
	LeftOut      uint64 `json:"left_out"`     // rows that a limit kept out of a report
	Malformed    uint64 `json:"malformed"`    // flows, or messages, that went wrong
	Panics       uint64 `json:"panics"`       // packets on which it failed
	Throttled    uint64 `json:"throttled"`    // payloads beyond its share of a second
	Not          uint64 `json:"not"`          // flows that looked like its own and were not
	Gaps         uint64 `json:"gaps"`         // flows of which a segment was missing
	Full         uint64 `json:"full"`         // flows of which it took no bytes for too long
	NoRoom       uint64 `json:"no_room"`      // flows for which there was no memory
	Pushed       uint64 `json:"pushed"`       // flows that made way for others
	Stale        uint64 `json:"stale"`        // flows that stopped in the middle
}

func (c *ParserCounters) add(o *ParserCounters) {
	c.Recognised += o.Recognised
	c.Transactions += o.Transactions
	c.LeftOut += o.LeftOut
	c.Malformed += o.Malformed
	c.Panics += o.Panics
	c.Throttled += o.Throttled
	c.Not += o.Not
	c.Gaps += o.Gaps
	c.Full += o.Full
	c.NoRoom += o.NoRoom
	c.Pushed += o.Pushed
	c.Stale += o.Stale
}

// Events returns the counters by name, as they stand in metrics.
func (c *ParserCounters) Events() map[string]uint64 {
	return map[string]uint64{
		"recognised": c.Recognised, "transaction": c.Transactions, "left_out": c.LeftOut, "malformed": c.Malformed,
		"panicked": c.Panics, "throttled": c.Throttled, "not": c.Not, "gap": c.Gaps, "full": c.Full, "no_room": c.NoRoom,
		"pushed": c.Pushed, "stale": c.Stale,
	}
}

// maxPooled is how many streams of a protocol wait for their next connection.
const maxPooled = 1024

// parser is a protocol in use.
type parser struct {
	protocol
	off      bool
	counters ParserCounters
	pool     []parse.Stream
	second   int64
	given    int
}

// take returns a stream that is ready.
func (a *parser) take() parse.Stream {
	if n := len(a.pool); n > 0 {
		s := a.pool[n-1]
		a.pool = a.pool[:n-1]
		s.Reset()
		return s
	}
	s := a.stream()
	s.Reset()
	return s
}

func (a *parser) put(s parse.Stream) {
	if len(a.pool) < maxPooled {
		a.pool = append(a.pool, s)
	}
}

// throttled reports whether the parser has had its share of this second.
func (a *parser) throttled(now int64) bool {
	if a.perSecond == 0 {
		return false
	}
	if s := now / 1e9; s != a.second {
		a.second, a.given = s, 0
	}
	if a.given++; a.given > a.perSecond {
		a.counters.Throttled++
		return true
	}
	return false
}

// client returns the side of a flow that is the client.
func (a *parser) client(source int, ports [2]uint16) int {
	if a.server != 0 && ports[source] == a.server && ports[1-source] != a.server {
		return 1 - source
	}
	return source
}

// The parser of what is not recognised yet: its counters say what became of
// flows on the way there.
const unknown = 0

// recogniser finds the protocol of a flow of one transport.
type recogniser struct {
	list []uint8 // indexes into Pipeline.parsers, in order
	hint hints
}

// hints are parsers by port. The ports of clients are asked for as well, so
// that most are not there.
type hints [256]struct {
	port uint16
	by   uint8 // 0 is free
}

// place is where the port is, or would be.
func (h *hints) place(port uint16) *uint8 {
	for i := port * 0x9e37 >> 8; ; i = (i + 1) % uint16(len(h)) {
		if e := &h[i]; e.by == 0 || e.port == port {
			e.port = port
			return &e.by
		}
	}
}

// of returns the parser of a port, or 0.
func (h *hints) of(port uint16) uint8 {
	for i := port * 0x9e37 >> 8; ; i = (i + 1) % uint16(len(h)) {
		if e := &h[i]; e.by == 0 || e.port == port {
			return e.by
		}
	}
}

// setParsers makes the tables of the protocols.
func (p *Pipeline) setParsers(tcp, udp []protocol) {
	p.parsers = []parser{{protocol: protocol{name: "unrecognised"}}}
	p.tcp.fill(p, tcp)
	p.udp.fill(p, udp)
	p.setFrames()
	seen := []parse.Cutter{}
	for i := range p.parsers {
		a := &p.parsers[i]
		if c, ok := a.datagrams.(parse.Cutter); ok && a.sums == nil {
			a.sums = c
		}
		if slices.Contains(seen, a.sums) {
			a.sums = nil // another entry of the same parser has it
		} else if a.sums != nil {
			seen = append(seen, a.sums)
		}
		if a.name == "tls" && a.stream != nil {
			p.tls = uint8(i)
		}
	}
}

// fill adds the protocols of one transport.
func (t *recogniser) fill(p *Pipeline, list []protocol) {
	t.hint = hints{}
	for _, proto := range list {
		i := uint8(len(p.parsers))
		p.parsers = append(p.parsers, parser{protocol: proto})
		t.list = append(t.list, i)
		for _, port := range proto.ports {
			if by := t.hint.place(port); *by == 0 {
				*by = i
			}
		}
	}
}

// recognise returns the protocol that a payload begins, or 0. tried are those
// that have said no.
func (p *Pipeline) recognise(t *recogniser, client, server uint16, side int, b []byte, tried uint64) uint8 {
	hints := [2]uint8{t.hint.of(server), t.hint.of(client)}
	for _, i := range hints {
		a := &p.parsers[i]
		if i == unknown || a.off || tried&(1<<i) != 0 {
			continue
		}
		looks := a.looks
		if a.greets != nil {
			looks = a.greets
		}
		if looks == nil || looks(side, b) {
			return i
		}
	}
	for _, i := range t.list {
		a := &p.parsers[i]
		if a.only || a.off || a.looks == nil || i == hints[0] || i == hints[1] || tried&(1<<i) != 0 {
			continue
		}
		if a.looks(side, b) {
			return i
		}
	}
	return 0
}
