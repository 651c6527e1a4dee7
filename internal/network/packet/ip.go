package packet

// IP protocol numbers that the decoder follows.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoICMPv6   = 58
	protoDestOpts = 60
	protoSCTP     = 132
	protoMobility = 135
	protoMPLS     = 137
	protoHIP      = 139
	protoShim6    = 140

	maxExtensions = 16
	maxDatagram   = 65535
)

// mapped is the upper half of the low word of an IPv4-mapped address.
const mapped = 0xffff_0000_0000

// ipv4 reads an IPv4 header (RFC 791). A total length of 0 is what hosts
// write into frames that their network card will cut up (TSO): the rest of
// the frame is the packet.
func (s span) ipv4(p *Packet) Status {
	b := s.b
	if len(b) < 20 {
		return s.lacks(20, ShortIP)
	}
	if b[0]>>4 != 4 {
		return BadVersion
	}
	ihl, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
	if total == 0 {
		total = s.wire()
	}
	switch {
	case ihl < 20:
		return BadHeaderLength
	case total < 20 || total > s.wire():
		return BadTotalLength
	case ihl > total:
		return BadHeaderLength
	case ihl > len(b):
		return Snapped
	}
	p.Version, p.TTL, p.Proto = 4, b[8], b[9]
	p.Src.Lo = mapped | uint64(be.Uint32(b[12:]))
	p.Dst.Lo = mapped | uint64(be.Uint32(b[16:]))
	offset := int(be.Uint16(b[6:])&0x1fff) * 8
	if more := b[6]&0x20 != 0; more || offset > 0 {
		if offset+total-ihl > maxDatagram {
			return BadFragment
		}
		s.first(total).from(ihl).part(p, offset, more, uint32(be.Uint16(b[4:])), p.Proto)
		if offset > 0 {
			return IP
		}
	}
	return s.first(total).from(ihl).transport(p)
}

// ipv6 reads an IPv6 header (RFC 8200). A payload length of 0 with a
// hop-by-hop header is a jumbogram (RFC 2675), and one with more than 65,535
// bytes behind it a frame that was never cut up (BIG TCP).
func (s span) ipv6(p *Packet) Status {
	b := s.b
	if len(b) < 40 {
		return s.lacks(40, ShortIP)
	}
	if b[0]>>4 != 6 {
		return BadVersion
	}
	length := int(be.Uint16(b[4:]))
	if rest := s.wire() - 40; length == 0 && (b[6] == protoHopByHop || rest > maxDatagram) {
		length = rest
	} else if length > rest {
		return BadTotalLength
	}
	p.Version, p.TTL = 6, b[7]
	p.Src = Addr{be.Uint64(b[8:]), be.Uint64(b[16:])}
	p.Dst = Addr{be.Uint64(b[24:]), be.Uint64(b[32:])}
	return s.first(40+length).from(40).extensions(b[6], p)
}

// extensions walks the extension headers to the transport header.
func (s span) extensions(next uint8, p *Packet) Status {
	for range maxExtensions {
		var size int
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoMobility, protoHIP, protoShim6:
			if len(s.b) < 8 {
				return s.lacks(8, BadExtension)
			}
			size = (int(s.b[1]) + 1) * 8
		case protoAH:
			if len(s.b) < 8 {
				return s.lacks(8, BadExtension)
			}
			size = (int(s.b[1]) + 2) * 4
		case protoFragment:
			if len(s.b) < 8 {
				return s.lacks(8, BadExtension)
			}
			size = 8
		default:
			p.Proto = next
			return s.transport(p)
		}
		if size > len(s.b) {
			return s.lacks(size, BadExtension)
		}
		header := s.b
		s = s.from(size)
		if next == protoFragment {
			if st, done := s.fragment(header, p); done {
				return st
			}
		}
		next = header[0]
	}
	return BadExtension
}

// fragment reads a fragment header; done is true when nothing behind it can
// be read. A fragment that is the whole datagram (RFC 6946) is none.
func (s span) fragment(header []byte, p *Packet) (st Status, done bool) {
	field := be.Uint16(header[2:])
	offset, more := int(field&^7), field&1 != 0
	if offset == 0 && !more {
		return IP, false
	}
	if offset+s.wire() > maxDatagram {
		return BadFragment, true
	}
	s.part(p, offset, more, be.Uint32(header[4:]), header[0])
	if offset > 0 {
		p.Proto = header[0]
		return IP, true
	}
	return IP, false
}

// part notes that s is a part of a datagram. A fragment inside the packet of
// a tunnel that itself is one changes nothing: only the outer datagram is put
// together.
func (s span) part(p *Packet, offset int, more bool, id uint32, next uint8) {
	if p.Fragment {
		return
	}
	p.Fragment, p.FirstFrag, p.MoreFrags = true, offset == 0, more
	p.FragID, p.FragOffset, p.FragNext = id, uint16(offset), next
	p.FragSrc, p.FragDst, p.FragVersion = p.Src, p.Dst, p.Version
	p.FragWay = uint64(p.Tunnel)<<56 | uint64(p.VLAN)<<44 | uint64(p.InnerVLAN)<<32 | uint64(p.TunnelID)
	if s.cut == 0 {
		p.FragData = s.b
	}
}
