package packet

import (
	"math/bits"

	"github.com/rind-project/rind/internal/network"
)

const (
	maxTunnels = 4  // in one another
	maxLabels  = 16 // of an MPLS stack

	portVXLAN      = 4789
	portLinuxVXLAN = 8472 // Linux before the port was assigned, and what still keeps to it
	portGeneve     = 6081
	portMPLS       = 6635 // RFC 7510
)

// inside reads what a tunnel over IP carries, an EtherType says what it is.
// When nothing in there belongs to a flow, the packet stays the one that
// carries it, which is well formed. In a first fragment what the later ones
// hold is as if cut off.
func (s span) inside(kind network.Tunnel, id uint32, typ uint16, p *Packet) Status {
	if p.depth >= maxTunnels {
		return IP
	}
	if p.Fragment {
		s.cut += maxDatagram
	}
	outer := *p
	p.depth++
	p.Tunnel, p.TunnelID = kind, id
	p.clearTransport()
	if s.ether(typ, p) != IP {
		*p = outer
	}
	return IP
}

// carrier reads the IP protocols that carry packets.
func (s span) carrier(p *Packet) Status {
	switch p.Proto {
	case protoIPIP:
		return s.inside(network.TunnelIPIP, p.between(), etherIPv4, p)
	case protoIPv6:
		return s.inside(network.TunnelIPIP, p.between(), etherIPv6, p)
	case protoMPLS:
		return s.inside(network.TunnelMPLS, 0, etherMPLS, p)
	}
	return s.gre(p)
}

// between makes a number of the packet's two addresses, the same for both
// directions, for tunnels that have none: FNV-1a over the sums of the words.
func (p *Packet) between() uint32 {
	h := uint64(14695981039346656037)
	for _, v := range [...]uint64{p.Src.Hi + p.Dst.Hi, p.Src.Lo + p.Dst.Lo, p.Src.Hi ^ p.Dst.Hi, p.Src.Lo ^ p.Dst.Lo} {
		h = bits.RotateLeft64((h^v)*1099511628211, 29)
	}
	return uint32(h>>32) | 1
}

// gre reads a GRE header (RFC 2784, RFC 2890). What has routing (RFC 1701) or
// version 1 (PPTP, RFC 2637) is not opened.
func (s span) gre(p *Packet) Status {
	if len(s.b) < 4 {
		return IP
	}
	flags, typ := be.Uint16(s.b), be.Uint16(s.b[2:])
	n, id, sequenced := 4, p.between(), flags&0x1000 != 0
	if flags&0x4007 != 0 {
		return IP
	}
	if flags&0x8000 != 0 {
		n += 4
	}
	if flags&0x2000 != 0 {
		if len(s.b) < n+4 {
			return IP
		}
		id = be.Uint32(s.b[n:])
		n += 4
	}
	if sequenced {
		n += 4
	}
	if len(s.b) < n {
		return IP
	}
	s = s.from(n)
	switch typ {
	case etherIPv4, etherIPv6, etherTEB, etherMPLS, etherMPLSUp:
		return s.inside(network.TunnelGRE, id, typ, p)
	case etherERSPAN2, etherERSPAN3:
		return s.erspan(typ, sequenced, p)
	}
	return IP
}

// erspan reads the header of a mirrored frame (draft-foschiano-erspan-03).
// Type I has none, and no sequence number before it.
func (s span) erspan(typ uint16, sequenced bool, p *Packet) Status {
	n := 8
	switch {
	case typ == etherERSPAN3:
		n = 12
		if len(s.b) >= 12 && s.b[11]&1 != 0 { // a platform's own sub-header
			n = 20
		}
	case !sequenced:
		return s.inside(network.TunnelERSPAN, 0, etherTEB, p)
	}
	if len(s.b) < n {
		return IP
	}
	return s.from(n).inside(network.TunnelERSPAN, uint32(be.Uint16(s.b[2:])&0x3ff), etherTEB, p)
}

// overUDP reads the tunnels that are known by their port. Each has bits that
// must be zero, so that other traffic on the port is left alone.
func (s span) overUDP(p *Packet) Status {
	b := s.b
	if len(b) < 8 {
		return IP
	}
	switch p.DstPort {
	case portVXLAN, portLinuxVXLAN: // RFC 7348; bits of the group policy extension may be set
		if b[0]&0x7f == 0x08 && b[7] == 0 {
			return s.from(8).inside(network.TunnelVXLAN, be.Uint32(b[4:])>>8, etherTEB, p)
		}
	case portGeneve: // RFC 8926
		n := 8 + int(b[0]&0x3f)*4
		if b[0]>>6 == 0 && b[1]&0x3f == 0 && b[7] == 0 && n <= len(b) {
			switch typ := be.Uint16(b[2:]); typ {
			case etherTEB, etherIPv4, etherIPv6:
				return s.from(n).inside(network.TunnelGeneve, be.Uint32(b[4:])>>8, typ, p)
			}
		}
	case portMPLS:
		return s.inside(network.TunnelMPLS, 0, etherMPLS, p)
	}
	return IP
}

// mpls walks a label stack (RFC 3032). What it carries is known by its first
// nibble (RFC 4928): IPv4, IPv6, or an Ethernet pseudo-wire with a control
// word (RFC 4448). Without the word a frame is recognised by its EtherType.
func (s span) mpls(p *Packet) Status {
	whole, typ, outer := s, p.EtherType, *p
	var entry uint32
	for n := 0; entry&0x100 == 0; n++ {
		if n == maxLabels {
			return whole.frame(typ, p)
		}
		if len(s.b) < 4 {
			return s.lacks(4, ShortLink)
		}
		entry = be.Uint32(s.b)
		s = s.from(4)
	}
	if len(s.b) == 0 || p.depth >= maxTunnels {
		return whole.frame(typ, p)
	}
	p.depth++
	p.Tunnel, p.TunnelID = network.TunnelMPLS, entry>>12
	st := Frame
	switch nibble := s.b[0] >> 4; {
	case nibble == 4:
		st = s.ether(etherIPv4, p)
	case nibble == 6:
		st = s.ether(etherIPv6, p)
	case nibble == 0 && len(s.b) > 4 && s.from(4).looksEthernet():
		st = s.from(4).ethernet(p)
	}
	if st != IP && s.looksEthernet() {
		*p = outer
		p.depth++
		p.Tunnel, p.TunnelID = network.TunnelMPLS, entry>>12
		st = s.ethernet(p)
	}
	if st == Frame {
		*p = outer
		return whole.frame(typ, p)
	}
	return st
}

// looksEthernet reports whether s begins like a frame with an EtherType that
// is known here.
func (s span) looksEthernet() bool {
	if len(s.b) < 14 {
		return false
	}
	switch be.Uint16(s.b[12:]) {
	case etherIPv4, etherIPv6, etherARP, etherVLAN, etherQinQ, etherMPLS, etherMPLSUp, etherPPPoE, etherPPPoED:
		return true
	}
	return false
}

// pppoe reads a PPPoE session header (RFC 2516).
func (s span) pppoe(p *Packet) Status {
	b := s.b
	if len(b) < 6 {
		return s.lacks(6, ShortLink)
	}
	length := int(be.Uint16(b[4:]))
	if b[0] != 0x11 || b[1] != 0 {
		return s.frame(etherPPPoE, p)
	}
	if length > s.wire()-6 {
		return BadTotalLength
	}
	return s.first(6+length).from(6).ppp(network.TunnelPPPoE, uint32(be.Uint16(b[2:])), p)
}

// ppp reads a PPP header (RFC 1661): address and control (RFC 1662) may stand
// before the protocol, which may be compressed to one byte.
func (s span) ppp(kind network.Tunnel, id uint32, p *Packet) Status {
	whole := s
	if len(s.b) >= 2 && s.b[0] == 0xff && s.b[1] == 0x03 {
		s = s.from(2)
	}
	if len(s.b) == 0 {
		return s.lacks(1, ShortLink)
	}
	proto := uint16(s.b[0])
	if proto&1 != 0 {
		s = s.from(1)
	} else {
		if len(s.b) < 2 {
			return s.lacks(2, ShortLink)
		}
		proto = be.Uint16(s.b)
		s = s.from(2)
	}
	typ := uint16(0)
	switch proto {
	case 0x0021:
		typ = etherIPv4
	case 0x0057:
		typ = etherIPv6
	case 0x0281:
		typ = etherMPLS
	}
	if typ == 0 || p.depth >= maxTunnels {
		return whole.frame(p.EtherType, p)
	}
	p.depth++
	p.Tunnel, p.TunnelID = kind, id
	return s.ether(typ, p)
}
