package flow

import (
	"math"
	"time"

	"github.com/rind-project/rind/internal/network/packet"
)

// reorder is how late a segment may fill a hole and still have been sent in
// time, in µs, when no round trip was measured. It is what Wireshark takes.
const reorder = 3000

// micros is the time from the flow's begin to at, in µs, as far as 32 bits
// reach: 71 minutes, more than twice the active time-out.
func (r *Record) micros(at int64) uint32 {
	us := max(0, at-r.opened) / int64(time.Microsecond)
	return uint32(min(us, math.MaxUint32))
}

// since is the time since the mark in µs, at least 1.
func (r *Record) since(at int64) uint32 { return max(1, r.micros(at)-min(r.mark, r.micros(at))) }

// handshake measures the two halves of the round trip as they are where the
// tap is (RFC 9293 section 3.5): of a repeated SYN the latest counts.
func (r *Record) handshake(p *packet.Packet, answer bool) {
	switch {
	case !answer:
		r.bits = r.bits&^synAckSeen | synSeen
	case r.bits&(synSeen|synAckSeen) != 0:
		if r.bits&synSeen != 0 {
			r.rtt[1-r.Source()] = r.since(p.Time)
		}
		r.bits = r.bits&^synSeen | synAckSeen
	default:
		r.bits |= synAckSeen
	}
	r.mark = r.micros(p.Time)
}

// segment follows sequence numbers and windows. A segment below the highest
// sequence number seen is a retransmission, unless it fills a hole so soon
// that it was only overtaken on its way, or is a keep-alive, whose payload is
// taken out of the packet.
func (r *Record) segment(p *packet.Packet, side int) {
	f := p.TCPFlags
	if f&packet.RST != 0 {
		return
	}
	if p.Window == 0 && f&(packet.SYN|packet.FIN) == 0 {
		r.zero[side]++
	}
	n := uint32(p.PayloadOnNet)
	if f&packet.SYN != 0 {
		n++
	}
	if f&packet.FIN != 0 {
		n++
	}
	known := uint16(seq0 << side)
	if r.bits&known == 0 {
		r.bits |= known
		r.next[side] = p.Seq + n
		return
	}
	end := p.Seq + n
	switch ahead := int32(p.Seq - r.next[side]); {
	case ahead == 0:
		r.next[side] = end
	case ahead > 0:
		r.hole[side] = hole{from: r.next[side], to: p.Seq}
		r.holeAt = r.micros(p.Time)
		r.next[side] = end
	case n == 0: // an acknowledgement that was overtaken
	case ahead == -1 && n == 1 && f&(packet.SYN|packet.FIN) == 0:
		// A keep-alive (RFC 9293, 3.8.4): the byte in it says nothing, and must
		// not be taken for the first of a side that has said nothing yet.
		p.Payload, p.PayloadOnNet = nil, 0
	default:
		if !r.overtaken(p, side, end) {
			r.retrans[side]++
		}
		if int32(end-r.next[side]) > 0 {
			r.next[side] = end
		}
	}
}

// overtaken reports whether a segment fills the side's hole in time, and
// takes it off the hole when it lies at its edge.
func (r *Record) overtaken(p *packet.Packet, side int, end uint32) bool {
	h := &r.hole[side]
	if h.from == h.to || int32(p.Seq-h.from) < 0 || int32(end-h.to) > 0 {
		return false
	}
	limit := max(reorder, r.rtt[0]+r.rtt[1])
	soon := r.micros(p.Time)-min(r.holeAt, r.micros(p.Time)) < limit
	switch {
	case p.Seq == h.from:
		h.from = end
	case end == h.to:
		h.to = p.Seq
	}
	return soon
}
