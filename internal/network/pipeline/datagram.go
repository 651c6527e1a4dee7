package pipeline

import (
	"errors"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	udpProbes = 4 // payloads of a UDP flow that are looked at for what it is
	maxWrong  = 8 // payloads that are not as they should be, until the flow is left alone

	// A UDP flow has no stream: its handle counts its rows, with this bit, the
	// report in the next 15 and the count in the lower 16.
	datagramRows = 1 << 31
	maxReport    = 1<<15 - 1
)

// datagram takes the payload of a UDP flow that is still looked into.
func (p *Pipeline) datagram(r *flow.Record, side int) {
	k := &p.pkt
	if k.Fragment && !k.Reassembled && !k.FirstFrag || len(k.Payload) == 0 {
		return
	}
	client := r.Source()
	if r.Parser == unknown {
		ports := r.BothPorts()
		i := p.recognise(&p.udp, ports[client], ports[1-client], side^client, k.Payload, 0)
		if i == unknown {
			p.probe(r, udpProbes)
			return
		}
		r.Parser = i
	}
	a := &p.parsers[r.Parser]
	switch {
	case a.off:
		r.Done = true
		return
	case a.datagrams == nil:
		p.known(r, a)
		r.Done = true
		return
	case a.throttled(k.Time):
		return
	}
	err := p.readDatagram(r, side)
	switch {
	case err == nil:
		p.known(r, a)
	case errors.Is(err, parse.ErrDone):
		p.known(r, a)
		r.Done = true
	case errors.Is(err, parse.ErrNot):
		a.counters.Not++
		p.wrong(r, a)
	default:
		a.counters.Malformed++
		p.wrong(r, a)
	}
}

// known notes what the flow is, once.
func (p *Pipeline) known(r *flow.Record, a *parser) {
	if r.App != a.app || a.app == flow.AppUnknown && r.Probes == 0 {
		a.counters.Recognised++
		r.App = a.app
	}
	r.Probes = 1
}

// wrong counts a payload that the parser could not read, until there were too
// many. A flow that was not recognised before may be another protocol's.
func (p *Pipeline) wrong(r *flow.Record, a *parser) {
	if r.App != a.app {
		r.Parser = unknown
	}
	p.probe(r, maxWrong)
}

// readDatagram calls the parser.
func (p *Pipeline) readDatagram(r *flow.Record, side int) error {
	p.rows, p.rowsOf = r.Handle&0xffff, r.Handle>>16&maxReport
	a := p.enter(r.Parser, &p.rows, &p.rowsOf)
	client := a.client(r.Source(), r.BothPorts())
	p.session(r, client, p.pkt.Time)
	err := a.datagrams.Datagram(p.out, side^client, p.pkt.Payload)
	p.leave(a)
	if p.rows > 0 {
		r.Handle = datagramRows | p.rowsOf<<16 | p.rows
	}
	return err
}
