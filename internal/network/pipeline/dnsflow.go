package pipeline

import (
	"encoding/binary"

	"github.com/rind-project/rind/internal/network/flow"
)

// dnsDatagram reads a DNS message over UDP.
func (p *Pipeline) dnsDatagram(r *flow.Record) {
	if !p.dnsMessage(r, p.pkt.Payload) && r.App != flow.AppDNS {
		probe(r, dnsProbes)
	}
}

// dnsMessage reads one message of the flow, and reports whether it was one.
// Only plain queries (opcode 0) are kept.
func (p *Pipeline) dnsMessage(r *flow.Record, b []byte) bool {
	if err := p.message.Parse(b); err != nil {
		p.counters.DNSMalformed++
		return false
	}
	r.App = flow.AppDNS
	if p.message.Opcode == 0 {
		k := &p.pkt
		p.matcher.Add(k.Time, k.Src, k.Dst, k.SrcPort, k.DstPort, k.Proto, &p.message)
	}
	return true
}

// dnsSegment reads the DNS messages in a TCP segment, each behind its length
// (RFC 7766 section 8). A message that spans segments is put together when it
// is short enough, else passed over.
func (p *Pipeline) dnsSegment(r *flow.Record, side int) {
	if r.Handle == 0 {
		if r.Handle = p.streams.open(); r.Handle == 0 {
			p.counters.StreamsRefused++
			r.Done = true
			return
		}
	}
	st := p.streams.get(r.Handle)
	s := &st.sides[side]
	if st.dead {
		p.close(r)
		return
	}
	if s.lost {
		return
	}
	b := s.inOrder(p.seq(), p.pkt.Payload)
	if s.lost {
		p.counters.StreamGaps++
		p.streams.drop(s)
		if st.sides[1-side].lost {
			p.close(r)
		}
		return
	}
	st.touched = p.pkt.Time
	for len(b) > 0 {
		if b = p.dnsStream(r, s, b); r.Done {
			p.close(r)
			return
		}
	}
}

// dnsStream takes the next piece of the stream from b and returns the rest.
func (p *Pipeline) dnsStream(r *flow.Record, s *streamSide, b []byte) []byte {
	if s.skip > 0 {
		n := min(int(s.skip), len(b))
		s.skip -= uint32(n)
		return b[n:]
	}
	kept := p.streams.kept(s)
	if len(kept) == 0 && len(b) >= 2 {
		if n := 2 + int(binary.BigEndian.Uint16(b)); n <= len(b) {
			p.dnsWhole(r, b[2:n])
			return b[n:]
		} else if n > blockSize {
			s.skip = uint32(n)
			return b
		}
	}
	need := 2
	if len(kept) >= 2 {
		need = 2 + int(binary.BigEndian.Uint16(kept))
	} else if len(kept) == 0 && len(b) >= 2 {
		need = 2 + int(binary.BigEndian.Uint16(b))
	}
	if need > blockSize {
		s.skip = uint32(need - len(kept))
		p.streams.drop(s)
		return b
	}
	n := min(need-len(kept), len(b))
	if !p.streams.keep(s, b[:n]) {
		p.counters.StreamsRefused++
		r.Done = true
		return nil
	}
	if kept = p.streams.kept(s); len(kept) >= 2 && len(kept) == 2+int(binary.BigEndian.Uint16(kept)) {
		p.dnsWhole(r, kept[2:])
		p.streams.drop(s)
	}
	return b[n:]
}

// dnsWhole reads a whole message of a TCP stream. A stream that does not
// begin with one is not DNS.
func (p *Pipeline) dnsWhole(r *flow.Record, b []byte) {
	if !p.dnsMessage(r, b) && r.App != flow.AppDNS {
		r.Done = true
	}
}
