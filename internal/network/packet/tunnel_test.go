package packet_test

import (
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// inner is what the tunnels of these tests carry.
var inner = packettest.Frame{Src: ap("192.168.1.1:4000"), Dst: ap("192.168.1.2:80"), Proto: 6, Flags: 0x18, Seq: 7, Ack: 9, Payload: []byte("hello")}

// over puts a payload into an IPv4 packet of a protocol without a header of
// ours, or into UDP when port is not 0.
func over(proto uint8, port uint16, payload []byte) []byte {
	f := packettest.Frame{Src: ap("10.0.0.1:0"), Dst: ap("10.0.0.2:0"), Proto: proto, Payload: payload}
	if port != 0 {
		f.Src, f.Dst = ap("10.0.0.1:5555"), ap(fmt.Sprintf("10.0.0.2:%d", port))
	}
	return f.Bytes()
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// link puts a payload behind an Ethernet header.
func link(typ uint16, payload []byte) []byte {
	return join(tcp4.Bytes()[:12], be.AppendUint16(nil, typ), payload)
}

func TestTunnels(t *testing.T) {
	t.Parallel()
	frame, ip, ip6 := inner.Bytes(), inner.Bytes()[14:], udp6.Bytes()[14:]
	tagged := inner
	tagged.VLANs = []uint16{7}
	vxlan := []byte{8, 0, 0, 0, 0, 0x12, 0x34, 0}
	geneve := []byte{1, 0, 0x65, 0x58, 0, 0, 99, 0, 1, 2, 3, 0}
	label := func(n uint32, bottom bool) []byte {
		v := n<<12 | 64
		if bottom {
			v |= 0x100
		}
		return be.AppendUint32(nil, v)
	}
	pppoe := func(session uint16, body []byte) []byte {
		return join([]byte{0x11, 0}, be.AppendUint16(nil, session), be.AppendUint16(nil, uint16(len(body))), body)
	}
	deep := ip
	for range 6 {
		deep = over(4, 0, deep)[14:]
	}
	const innerTCP, innerUDP, none = "192.168.1.1:4000>192.168.1.2:80 6 hello", "2001:db8::1:4000>2001:db8::2:53 17 hello", ""
	for name, c := range map[string]struct {
		link   packet.LinkType
		data   []byte
		tunnel network.Tunnel
		id     uint32
		want   string // "" when the tunnel is not opened
	}{
		"vxlan":                     {1, over(17, 4789, join(vxlan, frame)), network.TunnelVXLAN, 0x1234, innerTCP},
		"vxlan of linux":            {1, over(17, 8472, join(vxlan, frame)), network.TunnelVXLAN, 0x1234, innerTCP},
		"vxlan without its flag":    {1, over(17, 4789, join(make([]byte, 8), frame)), 0, 0, none},
		"vxlan with rubbish":        {1, over(17, 4789, join(vxlan, []byte("rubbish"))), 0, 0, none},
		"vxlan with arp":            {1, over(17, 4789, join(vxlan, packettest.ARP())), 0, 0, none},
		"geneve with an option":     {1, over(17, 6081, join(geneve, frame)), network.TunnelGeneve, 99, innerTCP},
		"geneve with ip":            {1, over(17, 6081, join([]byte{0, 0, 0x86, 0xdd, 0, 0, 5, 0}, ip6)), network.TunnelGeneve, 5, innerUDP},
		"gre with ip":               {1, over(47, 0, join([]byte{0, 0, 8, 0}, ip)), network.TunnelGRE, 0xb96a8aa9, innerTCP},
		"gre with all fields":       {1, over(47, 0, join([]byte{0xb0, 0, 0x86, 0xdd, 1, 2, 0, 0, 0, 0, 0, 77, 0, 0, 0, 1}, ip6)), network.TunnelGRE, 77, innerUDP},
		"gre with a frame":          {1, over(47, 0, join([]byte{0x20, 0, 0x65, 0x58, 0, 0, 0, 8}, tagged.Bytes())), network.TunnelGRE, 8, innerTCP},
		"gre of pptp":               {1, over(47, 0, join([]byte{0x20, 1, 0x88, 0x0b, 0, 9, 0, 1}, ip)), 0, 0, none},
		"gre with routing":          {1, over(47, 0, join([]byte{0x40, 0, 8, 0, 0, 0, 0, 0}, ip)), 0, 0, none},
		"gre cut off":               {1, over(47, 0, []byte{0x20, 0, 8, 0, 1}), 0, 0, none},
		"erspan I":                  {1, over(47, 0, join([]byte{0, 0, 0x88, 0xbe}, frame)), network.TunnelERSPAN, 0, innerTCP},
		"erspan II":                 {1, over(47, 0, join([]byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 44, 0, 0, 0, 0}, frame)), network.TunnelERSPAN, 44, innerTCP},
		"erspan III":                {1, over(47, 0, join([]byte{0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0}, frame)), network.TunnelERSPAN, 45, innerTCP},
		"ip in ip":                  {1, over(4, 0, ip), network.TunnelIPIP, 0xb96a8aa9, innerTCP},
		"ipv6 in ip":                {1, over(41, 0, ip6), network.TunnelIPIP, 0xb96a8aa9, innerUDP},
		"ip in ip with rubbish":     {1, over(4, 0, []byte("rubbish")), 0, 0, none},
		"mpls":                      {1, link(0x8847, join(label(100, false), label(200, true), ip)), network.TunnelMPLS, 200, innerTCP},
		"mpls with ipv6":            {1, link(0x8847, join(label(3, true), ip6)), network.TunnelMPLS, 3, innerUDP},
		"mpls with a control word":  {1, link(0x8847, join(label(5, true), make([]byte, 4), frame)), network.TunnelMPLS, 5, innerTCP},
		"mpls with a bare frame":    {1, link(0x8847, join(label(5, true), frame)), network.TunnelMPLS, 5, innerTCP},
		"mpls with something":       {1, link(0x8847, join(label(5, true), []byte{0x10, 0, 0, 7, 1, 2})), 0, 0, "frame 0x8847"},
		"mpls without an end":       {1, link(0x8847, make([]byte, 80)), 0, 0, "frame 0x8847"},
		"mpls over udp":             {1, over(17, 6635, join(label(9, true), ip)), network.TunnelMPLS, 9, innerTCP},
		"pppoe":                     {1, link(0x8864, pppoe(321, join([]byte{0, 0x21}, ip))), network.TunnelPPPoE, 321, innerTCP},
		"pppoe with ipv6, padded":   {1, append(link(0x8864, pppoe(321, join([]byte{0x57}, ip6))), 0, 0, 0), network.TunnelPPPoE, 321, innerUDP},
		"pppoe with lcp":            {1, link(0x8864, pppoe(321, []byte{0xc0, 0x21, 9, 1, 0, 8, 0, 0})), 0, 0, "frame 0x8864"},
		"ppp":                       {9, join([]byte{0, 0x21}, ip), network.TunnelPPP, 0, innerTCP},
		"ppp with hdlc's header":    {50, join([]byte{0xff, 3, 0, 0x57}, ip6), network.TunnelPPP, 0, innerUDP},
		"pppoe as a link":           {51, pppoe(4, join([]byte{0, 0x21}, ip)), network.TunnelPPPoE, 4, innerTCP},
		"vxlan in gre in ip in ip":  {1, over(4, 0, over(47, 0, join([]byte{0, 0, 8, 0}, over(17, 4789, join(vxlan, frame))[14:]))[14:]), network.TunnelVXLAN, 0x1234, innerTCP},
		"six in one another":        {1, link(0x0800, deep), network.TunnelIPIP, 0xb96a8aa9, "10.0.0.1:0>10.0.0.2:0 4 " + string(over(4, 0, ip)[14:])},
		"malformed inside of pppoe": {1, link(0x8864, pppoe(1, join([]byte{0, 0x21}, ip[:19]))), network.TunnelPPPoE, 1, "short_ip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d packet.Decoder
			var p packet.Packet
			st := d.Decode(c.link, c.data, len(c.data), &p)
			got := ""
			switch {
			case st == packet.Frame:
				got = fmt.Sprintf("frame %#x", p.EtherType)
			case st != packet.IP:
				got = st.String()
			case p.Tunnel != network.TunnelNone:
				got = fmt.Sprintf("%s:%d>%s:%d %d %s", text(p.Src), p.SrcPort, text(p.Dst), p.DstPort, p.Proto, p.Payload)
			case text(p.Src) != "10.0.0.1" || len(p.Payload) == 0:
				t.Errorf("the packet that carries it is %s with %d bytes", text(p.Src), len(p.Payload))
			}
			if got != c.want || p.Tunnel != c.tunnel || p.TunnelID != c.id {
				t.Errorf("%v %#x %q, want %v %#x %q", p.Tunnel, p.TunnelID, got, c.tunnel, c.id, c.want)
			}
		})
	}
}

// TestTunnelNumberIsTheSameBothWays holds for tunnels without a number.
func TestTunnelNumberIsTheSameBothWays(t *testing.T) {
	t.Parallel()
	there := packettest.Frame{Src: ap("10.0.0.1:0"), Dst: ap("10.0.0.2:0"), Proto: 4, Payload: inner.Bytes()[14:]}
	back, other := there, there
	back.Src, back.Dst = there.Dst, there.Src
	other.Dst = ap("10.0.0.3:0")
	id := func(f packettest.Frame) uint32 {
		var d packet.Decoder
		var p packet.Packet
		b := f.Bytes()
		d.Decode(1, b, len(b), &p)
		return p.TunnelID
	}
	if a, b, c := id(there), id(back), id(other); a == 0 || a != b || a == c {
		t.Errorf("%#x there, %#x back, %#x of another tunnel", a, b, c)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	f := inner
	f.VLANs = []uint16{11, 12}
	carrier := packettest.Frame{VLANs: []uint16{5}, Src: ap("10.0.0.1:5555"), Dst: ap("10.0.0.2:4789"), Proto: 17,
		Payload: join([]byte{8, 0, 0, 0, 0, 0, 1, 0}, f.Bytes())}
	b := carrier.Bytes()
	var d packet.Decoder
	var p packet.Packet
	if st := d.Decode(1, b, len(b), &p); st != packet.IP || p.VLAN != 5 || p.InnerVLAN != 11 || p.DstPort != 80 {
		t.Errorf("%v: tags %d, %d, port %d", st, p.VLAN, p.InnerVLAN, p.DstPort)
	}
}

func TestTCPFields(t *testing.T) {
	t.Parallel()
	b := tcp4.Bytes()[:54] // the header alone
	options := []byte{2, 4, 5, 0xb4, 1, 3, 3, 7}
	b = append(b, options...)
	be.PutUint16(b[16:], uint16(len(b)-14))
	b[46] = 7 << 4
	be.PutUint16(b[48:], 4321)
	var d packet.Decoder
	var p packet.Packet
	if st := d.Decode(1, b, len(b), &p); st != packet.IP || !p.Whole || p.Window != 4321 || string(p.Options) != string(options) {
		t.Errorf("%v: whole %v, window %d, options %x", st, p.Whole, p.Window, p.Options)
	}
	if st := d.Decode(1, b[:56], len(b), &p); st != packet.IP || p.Whole || p.Options != nil {
		t.Errorf("cut in the options: %v, whole %v, options %x", st, p.Whole, p.Options)
	}
}

// TestIGMP has the oldest of the protocols without ports.
func TestIGMP(t *testing.T) {
	t.Parallel()
	var d packet.Decoder
	var p packet.Packet
	b := over(2, 0, []byte{0x16, 0, 0, 0, 224, 0, 0, 251})
	if st := d.Decode(1, b, len(b), &p); st != packet.IP || p.Proto != 2 || p.HasPorts || !p.Whole || len(p.Payload) != 8 {
		t.Errorf("%v: %+v", st, p)
	}
	b = over(2, 0, []byte{0x16, 0, 0, 0})
	if st := d.Decode(1, b, len(b), &p); st != packet.ShortTransport {
		t.Errorf("half a message is %v", st)
	}
}

func TestLLC(t *testing.T) {
	t.Parallel()
	b := join([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, tcp4.Bytes()[14:])
	var d packet.Decoder
	var p packet.Packet
	st := d.LLC([6]byte{1}, [6]byte{2}, b, 0, 99, &p)
	if st != packet.IP || p.WireLen != 99 || p.SrcMAC[0] != 1 || p.DstMAC[0] != 2 || p.DstPort != 80 {
		t.Errorf("%v: %+v", st, p)
	}
	if st := d.LLC([6]byte{}, [6]byte{}, b[:20], len(b)-20, 99, &p); st != packet.Snapped {
		t.Errorf("cut by the capture: %v", st)
	}
}
