package packet

// Glimpse is what the flow of an ordinary packet is known by.
type Glimpse struct {
	Src, Dst         Addr
	SrcPort, DstPort uint16
	VLAN             uint16
	Proto            uint8
}

// Glance reads the ends of an Ethernet frame that holds plain TCP or UDP over
// IP, with one tag at most, in a fraction of Decode's time. It checks nothing
// that it does not need, and says nothing of other frames: what it finds is
// good for bringing a flow's memory near before its packet is decoded.
func Glance(b []byte, g *Glimpse) bool {
	const ether, tag, ports = 14, 4, 4
	if len(b) < ether+20+ports {
		return false
	}
	typ := be.Uint16(b[12:])
	b = b[ether:]
	g.VLAN = 0
	if typ == etherVLAN {
		g.VLAN, typ = be.Uint16(b)&0xfff, be.Uint16(b[2:])
		b = b[tag:]
	}
	switch {
	case typ == etherIPv4 && len(b) >= 20+ports && b[0] == 0x45:
		g.Proto = b[9]
		g.Src, g.Dst = Addr{Lo: mapped | uint64(be.Uint32(b[12:]))}, Addr{Lo: mapped | uint64(be.Uint32(b[16:]))}
		b = b[20:]
	case typ == etherIPv6 && len(b) >= 40+ports:
		g.Proto = b[6]
		g.Src, g.Dst = Addr{be.Uint64(b[8:]), be.Uint64(b[16:])}, Addr{be.Uint64(b[24:]), be.Uint64(b[32:])}
		b = b[40:]
	default:
		return false
	}
	if g.Proto != protoTCP && g.Proto != protoUDP {
		return false
	}
	g.SrcPort, g.DstPort = be.Uint16(b), be.Uint16(b[2:])
	return true
}
