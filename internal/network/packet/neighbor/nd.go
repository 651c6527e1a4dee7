package neighbor

import (
	"net/netip"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// The ICMPv6 types of neighbor discovery (RFC 4861 section 4).
const (
	routerSolicitation    = 133
	routerAdvertisement   = 134
	neighborSolicitation  = 135
	neighborAdvertisement = 136
)

const (
	sourceLinkAddr = 1 // options, RFC 4861 section 4.6
	targetLinkAddr = 2
	maxOptions     = 64
)

// Header is what the packet says beside the ICMPv6 body.
type Header struct {
	MAC        network.MAC // who sent the frame; stands in when no option names one
	Src        netip.Addr
	HopLimit   uint8
	Type, Code uint8
}

// IsND reports whether an ICMPv6 type is one that ND reads.
func IsND(typ uint8) bool { return typ >= routerSolicitation && typ <= neighborAdvertisement }

// ND reads a message of neighbor discovery: b is what stands behind the ICMPv6
// checksum. A message that a host would have to ignore (RFC 4861 sections 6.1
// and 7.1) is malformed, above all one that was routed.
func (p *Parser) ND(out *parse.Out, h Header, b []byte) error {
	if !IsND(h.Type) {
		return parse.ErrNot
	}
	fixed := 4
	k := key{mac: h.MAC, addr: h.Src, source: nd}
	option := byte(sourceLinkAddr)
	switch h.Type {
	case routerSolicitation:
		k.kind = "solicitation"
	case routerAdvertisement:
		fixed, k.kind = 12, "router"
	case neighborSolicitation:
		fixed, k.kind = 20, "solicitation"
	case neighborAdvertisement:
		fixed, k.kind, option = 20, "advertisement", targetLinkAddr
	}
	if h.HopLimit != 255 || h.Code != 0 || len(b) < fixed {
		return parse.ErrMalformed
	}
	if fixed == 20 {
		k.target = netip.AddrFrom16([16]byte(b[4:20]))
		if k.target.IsMulticast() {
			return parse.ErrMalformed
		}
	}
	if h.Type == neighborAdvertisement {
		k.addr, k.target = k.target, netip.Addr{}
	}
	if k.addr.IsUnspecified() {
		if k.addr = (netip.Addr{}); h.Type == neighborSolicitation {
			k.kind = "probe" // duplicate address detection, RFC 4862 section 5.4
		}
	}
	mac, ok := linkAddr(b[fixed:], option)
	if !ok {
		return parse.ErrMalformed
	}
	if mac != (network.MAC{}) {
		k.mac = mac
	}
	p.add(out, k)
	return nil
}

// linkAddr returns the address in the option of that type, or none. ok is
// false when an option has no length or the message ends inside it.
func linkAddr(b []byte, typ byte) (mac network.MAC, ok bool) {
	for range maxOptions {
		if len(b) == 0 {
			return mac, true
		}
		if len(b) < 2 || b[1] == 0 || 8*int(b[1]) > len(b) {
			return mac, false
		}
		if b[0] == typ && b[1] == 1 {
			mac = network.MAC(b[2:8])
		}
		b = b[8*int(b[1]):]
	}
	return mac, true
}
