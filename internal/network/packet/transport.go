package packet

// transport reads the header behind IP. A first fragment, or a packet that
// the capture cut, may end inside it: then what is there is used, down to no
// ports at all. A packet that really ends there is malformed.
func (s span) transport(p *Packet) Status {
	switch p.Proto {
	case protoTCP:
		return s.tcp(p)
	case protoUDP:
		return s.udp(p)
	case protoICMP, protoICMPv6:
		return s.icmp(p)
	case protoSCTP:
		if len(s.b) < 12 {
			return s.partial(12, p)
		}
		s.ports(p)
		p.Whole = true
		s.payload(12, p)
		return IP
	case protoIGMP:
		if len(s.b) < 8 {
			return s.partial(8, p)
		}
		p.Whole = true
	case protoIPIP, protoIPv6, protoGRE, protoMPLS:
		s.payload(0, p)
		return s.carrier(p)
	}
	s.payload(0, p)
	return IP
}

// partial handles a transport header of need bytes that is not all there.
func (s span) partial(need int, p *Packet) Status {
	if s.wire() < need && !p.Fragment {
		return ShortTransport
	}
	if len(s.b) >= 4 && (p.Proto == protoTCP || p.Proto == protoUDP || p.Proto == protoSCTP) {
		s.ports(p)
	}
	return IP
}

func (s span) ports(p *Packet) {
	p.SrcPort, p.DstPort, p.HasPorts = be.Uint16(s.b), be.Uint16(s.b[2:]), true
}

// payload sets what follows the transport header of n bytes.
func (s span) payload(n int, p *Packet) {
	p.Payload, p.PayloadOnNet = s.b[n:], s.wire()-n
}

// tcp reads a TCP header (RFC 9293).
func (s span) tcp(p *Packet) Status {
	b := s.b
	if len(b) >= 14 {
		p.Seq, p.Ack, p.TCPFlags = be.Uint32(b[4:]), be.Uint32(b[8:]), b[13]
	}
	if len(b) < 20 {
		return s.partial(20, p)
	}
	offset := int(b[12]>>4) * 4
	if offset < 20 || offset > s.wire() && !p.Fragment {
		return BadTCPOffset
	}
	s.ports(p)
	p.Window = be.Uint16(b[14:])
	if offset <= len(b) {
		p.Options, p.Whole = b[20:offset], true
		s.payload(offset, p)
	} else {
		p.PayloadOnNet = max(0, s.wire()-offset)
	}
	return IP
}

// udp reads a UDP header (RFC 768; a length of 0 is allowed in a jumbogram,
// RFC 2675).
func (s span) udp(p *Packet) Status {
	if len(s.b) < 8 {
		return s.partial(8, p)
	}
	length := int(be.Uint16(s.b[4:]))
	if length == 0 && p.Version == 6 {
		length = s.wire()
	}
	if length < 8 || length > s.wire() && !p.Fragment {
		return BadUDPLength
	}
	s.ports(p)
	p.Whole = true
	s = s.first(min(length, s.wire()))
	s.payload(8, p)
	switch p.DstPort {
	case portVXLAN, portLinuxVXLAN, portGeneve, portMPLS:
		return s.from(8).overUDP(p)
	}
	return IP
}

// icmp reads type and code, and puts what Community ID calls ports into the
// packet.
func (s span) icmp(p *Packet) Status {
	if len(s.b) < 4 {
		return s.partial(4, p)
	}
	p.SrcPort, p.DstPort, p.OneWay = ICMPPorts(p.Proto, s.b[0], s.b[1])
	p.HasPorts, p.Whole, p.Code = true, true, s.b[1]
	s.payload(4, p)
	return IP
}

// counterpart holds, for an ICMP type that has one, the type that answers it
// or that it answers, plus one (so that zero is none), as the Community ID v1
// specification pairs them.
type counterpart [256]uint8

var (
	icmp4Pairs = pairs([]([2]uint8){{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}})
	icmp6Pairs = pairs([]([2]uint8){{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}})
)

func pairs(list [][2]uint8) *counterpart {
	var c counterpart
	for _, p := range list {
		c[p[0]], c[p[1]] = p[1]+1, p[0]+1
	}
	return &c
}

// ICMPPorts returns what stands in place of the ports for ICMP (1) or ICMPv6
// (58): type and counterpart type, or, when there is no counterpart, type and
// code of a one-way message.
func ICMPPorts(proto, typ, code uint8) (src, dst uint16, oneWay bool) {
	table := icmp4Pairs
	if proto == protoICMPv6 {
		table = icmp6Pairs
	}
	if c := table[typ]; c != 0 {
		return uint16(typ), uint16(c - 1), false
	}
	return uint16(typ), uint16(code), true
}

// ICMPRequest reports whether the type asks for the answer that its
// counterpart is.
func ICMPRequest(proto, typ uint8) bool {
	if proto == protoICMPv6 {
		switch typ {
		case 128, 130, 133, 135, 139, 144:
			return true
		}
		return false
	}
	switch typ {
	case 8, 10, 13, 15, 17:
		return true
	}
	return false
}
