package wifi

import (
	"bytes"

	"github.com/rind-project/rind/internal/network"
)

var snap = []byte{0xaa, 0xaa, 0x03}

const (
	snapSize      = 8
	etherEAPOL    = 0x888e
	qosAMSDU      = 0x80
	maxSubframes  = 64
	subframeHead  = 14
	subtypeNoData = 4
	seenSize      = 1024
)

// data counts a data frame to its stations, and finds what it carries.
func (p *Parser) data() (Inner, Status) {
	f := &p.f
	in := Inner{Src: f.a2, Dst: f.a1, OnNet: f.onNet}
	switch f.flags & (toDS | fromDS) {
	case toDS:
		in.Dst = f.a3
		p.sent(f.a2, f.a1, station)
	case fromDS:
		in.Src = f.a3
		p.got(f.a1, f.a2, station)
	case toDS | fromDS:
		p.c.FourAddress++
		in.Src, in.Dst = f.a4, f.a3
		p.sent(f.a2, network.MAC{}, maybe)
		p.got(f.a1, network.MAC{}, maybe)
	default: // an independent network, or directly between stations
		if f.a2 != f.a3 {
			p.sent(f.a2, f.a3, station)
		}
		if f.a1 != f.a3 {
			p.got(f.a1, f.a3, station)
		}
	}
	return p.content(in)
}

func (p *Parser) sent(mac, bssid network.MAC, sure uint8) {
	if c := p.client(mac, sure); c != nil {
		c.sent++
		c.sentLen += uint64(p.f.size)
		c.meet(bssid)
	}
}

func (p *Parser) got(mac, bssid network.MAC, sure uint8) {
	if c := p.client(mac, sure); c != nil {
		c.got++
		c.gotLen += uint64(p.f.size)
		c.meet(bssid)
	}
}

// meet notes the network that a station talks to.
func (c *client) meet(bssid network.MAC) {
	if !group(bssid) {
		c.bssid = bssid
	}
}

// content returns what a data frame carries, when it is whole, in the clear
// and not a repetition.
func (p *Parser) content(in Inner) (Inner, Status) {
	f := &p.f
	switch {
	case f.subtype&subtypeNoData != 0:
		return Inner{}, Data
	case f.flags&protected != 0:
		p.c.Protected++
		return Inner{}, Data
	case f.flags&moreFrags != 0 || f.seq&15 != 0:
		p.c.Fragments++
		return Inner{}, Data
	case p.repeated():
		p.c.Duplicates++
		return Inner{}, Data
	}
	if f.hasQoS && f.qos&qosAMSDU != 0 {
		p.c.AMSDU++
		p.sub = subframes{rest: f.body, onNet: f.onNet, left: maxSubframes}
		if in, ok := p.More(); ok {
			return in, Content
		}
		return Inner{}, Data
	}
	in.Data = f.body
	if !p.llc(in) {
		return Inner{}, Data
	}
	return in, Content
}

// llc reports whether content begins with a SNAP header, and counts 802.1X.
func (p *Parser) llc(in Inner) bool {
	if len(in.Data) < snapSize || !bytes.HasPrefix(in.Data, snap) {
		return false
	}
	if be.Uint16(in.Data[6:]) == etherEAPOL {
		p.c.EAPOL++
	}
	return true
}

// subframes is what is left of an A-MSDU (IEEE 802.11-2020, 9.3.2.2).
type subframes struct {
	rest  []byte
	onNet int
	left  int
}

// More returns the next content of the frame that was given to Frame last: an
// A-MSDU holds up to 64. Subframes without a SNAP header are passed over.
func (p *Parser) More() (Inner, bool) {
	s := &p.sub
	for s.left > 0 && len(s.rest) >= subframeHead {
		s.left--
		in := Inner{Dst: network.MAC(s.rest), Src: network.MAC(s.rest[6:])}
		n := int(be.Uint16(s.rest[12:]))
		if n == 0 || subframeHead+n > s.onNet {
			break
		}
		in.OnNet = n
		in.Data = s.rest[subframeHead:min(subframeHead+n, len(s.rest))]
		step := (subframeHead + n + 3) &^ 3
		s.rest, s.onNet = s.rest[min(step, len(s.rest)):], s.onNet-step
		if p.llc(in) {
			return in, true
		}
	}
	*s = subframes{}
	return Inner{}, false
}

// seenFrame is the latest data frame of a transmitter and traffic class.
type seenFrame struct {
	ta  network.MAC
	tid uint8
	is  bool
	seq uint16
}

// repeated reports whether a frame was received before: its retry bit is set
// and its sequence number is the one before (IEEE 802.11-2020, 10.3.2.14).
func (p *Parser) repeated() bool {
	f := &p.f
	tid := uint8(16)
	if f.hasQoS {
		tid = f.qos & 15
	}
	a := f.a2
	h := (uint32(a[3])<<16 | uint32(a[4])<<8 | uint32(a[5])) ^ uint32(a[2])<<4 ^ uint32(tid)<<5
	s := &p.seen[h*0x9e3779b1>>22]
	now := seenFrame{a, tid, true, f.seq}
	if *s == now && f.flags&retry != 0 {
		return true
	}
	*s = now
	return false
}
