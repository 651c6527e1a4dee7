package packet

import (
	"encoding/binary"
	"math"

	"github.com/rind-project/rind/internal/network"
)

// EtherTypes that the decoder knows by name.
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherERSPAN3 = 0x22eb // ERSPAN type III in GRE
	etherTEB     = 0x6558 // transparent Ethernet bridging: a whole frame
	etherVLAN    = 0x8100 // 802.1Q
	etherMPLS    = 0x8847
	etherMPLSUp  = 0x8848 // upstream-assigned labels (RFC 5332)
	etherPPPoED  = 0x8863 // discovery
	etherPPPoE   = 0x8864 // session
	etherQinQ    = 0x88a8 // 802.1ad
	etherERSPAN2 = 0x88be // ERSPAN types I and II in GRE
	etherOldQ    = 0x9100 // QinQ before 802.1ad
	etherIPv6    = 0x86dd
	minEther     = 0x0600 // below it the field is an 802.3 length
	maxTags      = 4      // more stacked tags than this are left to the EtherType counter
	arphrdNlink  = 824    // netlink messages in a Linux cooked capture
)

var be = binary.BigEndian

// Decoder decodes frames. It has no state; its zero value is ready.
type Decoder struct{}

// Decode reads one frame of the link type into out. wireLen is the frame's
// length on the wire; when the capture kept less, headers that were cut off
// make the packet Snapped, and a cut payload is no fault.
//
// Tunnels are opened, up to maxTunnels in one another: out is then the packet
// inside. What carries something that cannot be read is itself the packet.
//
// Fragments: the first fragment carries its ports; later ones have HasPorts
// false and are put into the flow of the first by flow.Fragments, which also
// puts the datagram together.
func (d *Decoder) Decode(link LinkType, data []byte, wireLen int, out *Packet) Status {
	if wireLen < len(data) {
		wireLen = len(data)
	}
	*out = Packet{WireLen: uint32(min(uint64(wireLen), math.MaxUint32))}
	b := span{data, wireLen - len(data)}
	switch link {
	case LinkEthernet:
		return b.ethernet(out)
	case LinkRaw, LinkIPv4, LinkIPv6, linkRawBSD, linkRawOpenBSD:
		return b.raw(out)
	case LinkLoopback, LinkLoop:
		return b.loopback(out)
	case LinkLinuxSLL:
		return b.cooked(out)
	case LinkLinuxSLL2:
		return b.cooked2(out)
	case LinkPPP, LinkPPPHDLC:
		return b.ppp(network.TunnelPPP, 0, out)
	case LinkPPPoE:
		out.EtherType = etherPPPoE
		return b.pppoe(out)
	}
	return UnsupportedLink
}

// LLC reads what a data frame of 802.11 or another LAN carries: data begins
// with the LLC header (IEEE 802.2), more says how many bytes of it the capture
// left out, and wireLen is the length of the whole frame.
func (d *Decoder) LLC(src, dst [6]byte, data []byte, more, wireLen int, out *Packet) Status {
	*out = Packet{WireLen: uint32(min(max(0, wireLen), math.MaxUint32)), SrcMAC: src, DstMAC: dst}
	return span{data, max(0, more)}.ether(0, out)
}

// Datagram reads again what lies behind the IP header of a fragment, now that
// the whole of it is there: p is the fragment, data the datagram as
// flow.Fragments has put it together. Ports, payload and what a tunnel holds
// are then those of the datagram; p stays a fragment, and Reassembled says
// whether it could be read.
func (d *Decoder) Datagram(p *Packet, data []byte) {
	was := *p
	p.Version, p.Src, p.Dst, p.Proto = p.FragVersion, p.FragSrc, p.FragDst, p.FragNext
	p.Fragment, p.depth = false, 0
	p.clearTransport()
	var st Status
	if s := (span{data, 0}); p.Version == 6 {
		st = s.extensions(p.FragNext, p)
	} else {
		st = s.transport(p)
	}
	if st != IP {
		*p = was
		p.Whole, p.Payload, p.PayloadOnNet = false, nil, 0
	}
	p.Fragment, p.FirstFrag, p.MoreFrags, p.FragNext, p.FragVersion = true, was.FirstFrag, was.MoreFrags, was.FragNext, was.FragVersion
	p.FragOffset, p.FragID, p.FragSrc, p.FragDst = was.FragOffset, was.FragID, was.FragSrc, was.FragDst
	p.FragWay, p.FragData = was.FragWay, nil
	p.VLAN, p.InnerVLAN, p.tags = was.VLAN, was.InnerVLAN, was.tags
	p.Reassembled = st == IP
}

// span is a part of a packet: the bytes captured, and how many more there
// were on the wire.
type span struct {
	b   []byte
	cut int
}

// wire is the length on the wire.
func (s span) wire() int { return len(s.b) + s.cut }

// from drops the first n bytes, which must have been captured.
func (s span) from(n int) span { return span{s.b[n:], s.cut} }

// first keeps n bytes of the wire's; n is at most wire().
func (s span) first(n int) span {
	if n <= len(s.b) {
		return span{s.b[:n], 0}
	}
	return span{s.b, n - len(s.b)}
}

// lacks says why n bytes are not there: the capture kept too little, or the
// packet is too short for the reason given.
func (s span) lacks(n int, reason Status) Status {
	if s.wire() >= n {
		return Snapped
	}
	return reason
}

func (s span) ethernet(p *Packet) Status {
	if len(s.b) < 14 {
		return s.lacks(14, ShortLink)
	}
	copy(p.DstMAC[:], s.b[0:6])
	copy(p.SrcMAC[:], s.b[6:12])
	return s.from(14).ether(be.Uint16(s.b[12:]), p)
}

// ether follows tags and SNAP to the network layer.
func (s span) ether(typ uint16, p *Packet) Status {
	for typ == etherVLAN || typ == etherQinQ || typ == etherOldQ {
		if p.tags == maxTags {
			return s.frame(typ, p)
		}
		if len(s.b) < 4 {
			return s.lacks(4, ShortLink)
		}
		id := be.Uint16(s.b) & 0x0fff
		switch p.tags {
		case 0:
			p.VLAN = id
		case 1:
			p.InnerVLAN = id
		}
		p.tags++
		typ = be.Uint16(s.b[2:])
		s = s.from(4)
	}
	// LLC with SNAP and no organisation carries an EtherType (RFC 1042), as
	// does that of bridges (IEEE 802.1H).
	if typ < minEther && len(s.b) >= 8 && be.Uint32(s.b) == 0xaaaa0300 && (be.Uint16(s.b[4:]) == 0 || be.Uint16(s.b[4:]) == 0x00f8) {
		typ = be.Uint16(s.b[6:])
		s = s.from(8)
	}
	p.EtherType = typ
	switch typ {
	case etherIPv4:
		return s.ipv4(p)
	case etherIPv6:
		return s.ipv6(p)
	case etherARP:
		return s.arp(p)
	case etherMPLS, etherMPLSUp:
		return s.mpls(p)
	case etherPPPoE:
		return s.pppoe(p)
	case etherTEB:
		if p.depth > 0 {
			return s.ethernet(p)
		}
	}
	return s.frame(typ, p)
}

// frame leaves the frame to whoever knows the EtherType.
func (s span) frame(typ uint16, p *Packet) Status {
	p.EtherType = typ
	s.payload(0, p)
	return Frame
}

// arp checks that an ARP message is whole (RFC 826).
func (s span) arp(p *Packet) Status {
	if len(s.b) < 8 {
		return s.lacks(8, ShortARP)
	}
	if need := 8 + 2*(int(s.b[4])+int(s.b[5])); s.wire() < need {
		return ShortARP
	}
	return s.frame(etherARP, p)
}

func (s span) raw(p *Packet) Status {
	if len(s.b) == 0 {
		return s.lacks(1, ShortLink)
	}
	switch s.b[0] >> 4 {
	case 4:
		p.EtherType = etherIPv4
		return s.ipv4(p)
	case 6:
		p.EtherType = etherIPv6
		return s.ipv6(p)
	}
	return BadVersion
}

// loopback reads the address family, which has the byte order of the host
// that captured (null) or of the network (loop). AF_INET is 2 everywhere;
// AF_INET6 differs between systems.
func (s span) loopback(p *Packet) Status {
	if len(s.b) < 4 {
		return s.lacks(4, ShortLink)
	}
	family := be.Uint32(s.b)
	if family > 0xffff {
		family = binary.LittleEndian.Uint32(s.b)
	}
	switch family {
	case 2:
		return s.from(4).ether(etherIPv4, p)
	case 10, 23, 24, 28, 30:
		return s.from(4).ether(etherIPv6, p)
	}
	return Frame
}

// cooked reads the header of LINKTYPE_LINUX_SLL.
func (s span) cooked(p *Packet) Status {
	if len(s.b) < 16 {
		return s.lacks(16, ShortLink)
	}
	if be.Uint16(s.b[4:]) == 6 {
		copy(p.SrcMAC[:], s.b[6:12])
	}
	if be.Uint16(s.b[2:]) == arphrdNlink {
		return Frame
	}
	return s.from(16).ether(be.Uint16(s.b[14:]), p)
}

// cooked2 reads the header of LINKTYPE_LINUX_SLL2.
func (s span) cooked2(p *Packet) Status {
	if len(s.b) < 20 {
		return s.lacks(20, ShortLink)
	}
	if s.b[11] == 6 {
		copy(p.SrcMAC[:], s.b[12:18])
	}
	if be.Uint16(s.b[8:]) == arphrdNlink {
		return Frame
	}
	return s.from(20).ether(be.Uint16(s.b), p)
}
