package pipeline

import (
	"errors"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/pipeline/reassembly"
)

const (
	tcpProbes = 8  // payloads of a TCP flow that are looked at for what it is
	enough    = 64 // bytes of a side that say what it is, if any do
	maxHops   = 4  // parsers that a flow goes through
)

// errIdle says that a flow is not recognised and that nothing of it is held.
var errIdle = errors.New("not recognised yet")

// segment takes a TCP segment whose flow is still looked into, or a SYN.
func (p *Pipeline) segment(r *flow.Record, side int) {
	k := &p.pkt
	if k.Fragment && !k.Reassembled {
		return
	}
	if k.TCPFlags&(packet.SYN|packet.ACK) == packet.SYN {
		p.restart(r, side)
	}
	switch {
	case r.Done:
	case r.Handle != 0:
		p.follow(p.streams.Get(r.Handle), side)
	case len(k.Payload) > 0:
		p.begin(r, side)
	}
}

// seq is the sequence number of the first payload byte.
func seq(k *packet.Packet) uint32 {
	if k.TCPFlags&packet.SYN != 0 {
		return k.Seq + 1
	}
	return k.Seq
}

// restart looks afresh at a flow on whose endpoints a new connection begins.
func (p *Pipeline) restart(r *flow.Record, side int) {
	if r.Handle != 0 {
		c := p.streams.Get(r.Handle)
		next, known := c.Next(side)
		if behind := int32(next - seq(&p.pkt)); known && behind >= 0 && behind < parse.MaxBuffer {
			return // the SYN again
		}
		p.close(c)
	}
	r.Done, r.Parser, r.Probes = false, 0, 0
}

// begin looks at the first payload of a flow, or one of the next when those
// before did not say what it is. A short one is held until more comes.
func (p *Pipeline) begin(r *flow.Record, side int) {
	k := &p.pkt
	client := uint8(r.Source())
	from, hole := r.Hole(side)
	if hole = hole && int32(seq(k)-from) > 0 && int32(seq(k)-from) < parse.MaxBuffer; !hole && len(k.Payload) >= enough {
		ports := r.BothPorts()
		if p.recognise(&p.tcp, ports[client], ports[1-client], side^int(client), k.Payload, 0) == unknown {
			p.probe(r, tcpProbes)
			return
		}
	}
	c := p.streams.Open(r, k.Time)
	if c == nil {
		p.parsers[unknown].counters.NoRoom++
		r.Done = true
		return
	}
	c.Client, c.First = client, uint8(side)
	if hole {
		c.Expect(side, from)
	}
	if k.TCPFlags&packet.ACK != 0 {
		c.Expect(1-side, k.Ack)
	}
	p.follow(c, side)
}

// probe counts a payload that was looked at, and says when it was the last.
func (p *Pipeline) probe(r *flow.Record, most uint8) {
	if r.Probes++; r.Probes >= most {
		r.Done = true
	}
}

// follow puts a segment into its stream.
func (p *Pipeline) follow(c *reassembly.Conn, side int) {
	k, r := &p.pkt, c.Owner
	if p.parsers[c.Parser].off {
		r.Done = true
		p.close(c)
		return
	}
	over := k.TCPFlags&packet.RST != 0
	if len(k.Payload) > 0 || k.PayloadOnNet > 0 || k.TCPFlags&packet.FIN != 0 {
		p.conn = c
		err := p.streams.Add(c, side, k.Time, reassembly.Segment{
			Seq: seq(k), Data: k.Payload, Missing: max(0, k.PayloadOnNet-len(k.Payload)), FIN: k.TCPFlags&packet.FIN != 0,
		}, p)
		p.conn = nil
		switch {
		case errors.Is(err, errIdle):
			p.close(c)
			return
		case err != nil:
			p.failed(&p.parsers[c.Parser].counters, err)
			over = true
		}
	}
	if over || c.Ended() {
		r.Done = true
		p.close(c)
	}
}

// failed counts why a flow is not read any further.
func (p *Pipeline) failed(c *ParserCounters, err error) {
	switch {
	case errors.Is(err, parse.ErrDone):
	case errors.Is(err, reassembly.ErrGap):
		c.Gaps++
	case errors.Is(err, reassembly.ErrRoom):
		c.NoRoom++
	case errors.Is(err, reassembly.ErrFull):
		c.Full++
	case errors.Is(err, parse.ErrNot):
		c.Not++
	default:
		c.Malformed++
	}
}

// Next shows bytes of a stream to its parser, or finds out which that is. It
// is the reassembly that calls it.
func (p *Pipeline) Next(c *reassembly.Conn, side int, b []byte) (int, error) {
	for {
		if c.Parser == unknown {
			if known, n, err := p.unrecognised(c, side, b); !known {
				return n, err
			}
		}
		if c.Stream == nil { // named only
			return len(b), parse.ErrDone
		}
		n, err := p.read(c, side, b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, parse.ErrHTTP2):
			if c.Owner.App == flow.AppHTTP { // not the one that a proxy carries
				c.Owner.App = flow.AppHTTP2
			}
		case errors.Is(err, parse.ErrTLS):
			err = p.hop(c, p.tls)
		case errors.Is(err, parse.ErrAgain):
			err = p.hop(c, unknown)
		case errors.Is(err, parse.ErrNot):
			p.parsers[c.Parser].counters.Not++
			c.Tried |= 1 << c.Parser
			if c.Hops == 0 && !c.Took {
				c.Owner.App = flow.AppUnknown
			}
			err = p.hop(c, unknown)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// read calls the parser.
func (p *Pipeline) read(c *reassembly.Conn, side int, b []byte) (int, error) {
	a := p.enter(c.Parser, &c.Rows, &c.Report)
	p.session(c.Owner, int(c.Client), p.pkt.Time)
	n, err := c.Stream.Next(p.out, side^int(c.Client), b)
	p.leave(a)
	c.Took = c.Took || n > 0
	return max(n, 0), err
}

// hop lets another parser go on with a stream.
func (p *Pipeline) hop(c *reassembly.Conn, to uint8) error {
	p.end(c)
	if c.Hops++; c.Hops > maxHops || to != unknown && p.parsers[to].off {
		return parse.ErrDone
	}
	c.Owner.Probes = 0
	if c.Parser = to; to != unknown {
		p.parsers[to].counters.Recognised++
		c.Stream = p.parsers[to].take()
	}
	return nil
}

// unrecognised looks at what a side has said so far. When that is not enough
// it takes nothing; when it never will be, it takes all.
func (p *Pipeline) unrecognised(c *reassembly.Conn, side int, b []byte) (known bool, n int, err error) {
	r, client := c.Owner, int(c.Client)
	ports := r.BothPorts()
	i := p.recognise(&p.tcp, ports[client], ports[1-client], side^client, b, c.Tried)
	if i == unknown {
		if len(b) < enough {
			return false, 0, nil
		}
		p.probe(r, tcpProbes)
		switch {
		case r.Done:
			err = parse.ErrDone
		case c.Hops == 0 && !c.Waits() && !c.Holding(1-side):
			err = errIdle
		}
		return false, len(b), err
	}
	a := &p.parsers[i]
	a.counters.Recognised++
	if c.Parser = i; a.app != flow.AppUnknown && (c.Hops == 0 || r.App == flow.AppUnknown) {
		r.App = a.app
	}
	if a.stream != nil {
		c.Stream = a.take()
		if int(c.First) != side {
			if err := p.streams.Replay(c, 1-side, p); err != nil {
				return false, 0, err
			}
			if c.Stream == nil { // not what it looked like, as the other side showed
				return false, 0, nil
			}
		}
	}
	return true, 0, nil
}

// end tells the parser of a stream that it is over.
func (p *Pipeline) end(c *reassembly.Conn) {
	if c.Stream == nil {
		return
	}
	s := c.Stream
	c.Stream = nil
	if p.ended(c, s) {
		p.parsers[c.Parser].put(s)
	}
}

// ended calls End, and reports whether the stream can be used again.
func (p *Pipeline) ended(c *reassembly.Conn, s parse.Stream) (ok bool) {
	saved, before := p.out.Session, p.cur
	defer func() {
		if cause := recover(); cause != nil {
			p.panicked(cause)
			ok = false
		}
		p.out.Session, p.cur = saved, before
	}()
	a := p.enter(c.Parser, &c.Rows, &c.Report)
	p.session(c.Owner, int(c.Client), c.Touched())
	s.End(p.out)
	p.leave(a)
	return true
}

// close ends a stream, whatever became of it.
func (p *Pipeline) close(c *reassembly.Conn) {
	p.end(c)
	p.streams.Close(c)
}

// pushedOut ends a stream that makes way for another, or that goes on no more.
func (p *Pipeline) pushedOut(c *reassembly.Conn, stale bool) {
	if a := &p.parsers[c.Parser].counters; stale {
		a.Stale++
	} else {
		a.Pushed++
	}
	c.Owner.Done = true
	p.close(c)
}

// release ends the stream of a flow that leaves the table.
func (p *Pipeline) release(handle uint32) {
	if handle&datagramRows != 0 {
		return
	}
	c := p.streams.Get(handle)
	if c.Waits() {
		p.parsers[c.Parser].counters.Gaps++
	}
	p.close(c)
}
