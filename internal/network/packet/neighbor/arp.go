package neighbor

import (
	"net/netip"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	arpLen    = 28 // with addresses of Ethernet and IPv4
	ethernet  = 1
	ieee802   = 6
	etherIPv4 = 0x0800
)

// ARP reads an ARP packet: b is what stands behind the EtherType. Of other
// hardware or protocols than Ethernet and IPv4, and of operations other than
// request and reply, it returns parse.ErrNot.
func (p *Parser) ARP(out *parse.Out, b []byte) error {
	if len(b) < 8 {
		return parse.ErrMalformed
	}
	hardware, operation := be.Uint16(b), be.Uint16(b[6:])
	if hardware != ethernet && hardware != ieee802 || be.Uint16(b[2:]) != etherIPv4 || operation != 1 && operation != 2 {
		return parse.ErrNot
	}
	if b[4] != 6 || b[5] != 4 || len(b) < arpLen {
		return parse.ErrMalformed
	}
	k := key{mac: network.MAC(b[8:14]), source: arp, kind: "request"}
	sender, target := netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	k.addr, k.target = sender, target
	switch {
	case sender == target: // an announcement of either operation (RFC 5227 section 3)
		k.kind, k.target = "gratuitous", netip.Addr{}
	case operation == 2:
		k.kind, k.target = "reply", netip.Addr{}
	case sender.IsUnspecified():
		k.kind, k.addr = "probe", netip.Addr{}
	}
	p.add(out, k)
	return nil
}
