package packet_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

var be = binary.BigEndian

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func text(a packet.Addr) string {
	var b [16]byte
	be.PutUint64(b[:8], a.Hi)
	be.PutUint64(b[8:], a.Lo)
	return netip.AddrFrom16(b).Unmap().String()
}

var tcp4 = packettest.Frame{Src: ap("10.0.0.1:4000"), Dst: ap("10.0.0.2:80"), Proto: 6, Flags: 0x18, Seq: 7, Ack: 9, Payload: []byte("hello")}
var udp6 = packettest.Frame{Src: ap("[2001:db8::1]:4000"), Dst: ap("[2001:db8::2]:53"), Proto: 17, Payload: []byte("hello")}

// edit returns a frame with bytes changed from the IP header on.
func edit(f packettest.Frame, change func(ip []byte)) []byte {
	b := f.Bytes()
	change(b[14+4*len(f.VLANs):])
	return b
}

func TestDecodeFields(t *testing.T) {
	t.Parallel()
	type want struct {
		Status     packet.Status
		Src, Dst   string
		SP, DP     uint16
		Proto      uint8
		VLAN, In   uint16
		Flags      uint8
		Payload    string
		OnNet      int
		Frag, Frst bool
		Ports, One bool
		Ether      uint16
	}
	with := func(f packettest.Frame, vlans ...uint16) packettest.Frame { f.VLANs = vlans; return f }
	base4 := want{Src: "10.0.0.1", Dst: "10.0.0.2", SP: 4000, DP: 80, Proto: 6, Flags: 0x18, Payload: "hello", OnNet: 5, Ports: true, Ether: 0x800}
	base6 := want{Src: "2001:db8::1", Dst: "2001:db8::2", SP: 4000, DP: 53, Proto: 17, Payload: "hello", OnNet: 5, Ports: true, Ether: 0x86dd}
	mod := func(w want, change func(*want)) want { change(&w); return w }
	sll := append([]byte{0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}, tcp4.Bytes()[14:]...)
	sll2 := append([]byte{0x86, 0xdd, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0}, udp6.Bytes()[14:]...)
	snap := append([]byte{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7, 0, 53, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, tcp4.Bytes()[14:]...)
	ping := packettest.Frame{Src: ap("10.0.0.1:0"), Dst: ap("10.0.0.2:0"), Proto: 1}
	unreachable := packettest.Frame{Src: ap("10.0.0.1:3"), Dst: ap("10.0.0.2:1"), Proto: 1}
	gre := packettest.Frame{Src: ap("10.0.0.1:0"), Dst: ap("10.0.0.2:0"), Proto: 47, Payload: []byte("inner")}
	for name, c := range map[string]struct {
		link packet.LinkType
		data []byte
		wire int
		want want
	}{
		"tcp over ipv4":          {1, tcp4.Bytes(), 0, base4},
		"udp over ipv6":          {1, udp6.Bytes(), 0, base6},
		"one tag":                {1, with(tcp4, 7).Bytes(), 0, mod(base4, func(w *want) { w.VLAN = 7 })},
		"two tags":               {1, with(udp6, 7, 9).Bytes(), 0, mod(base6, func(w *want) { w.VLAN, w.In = 7, 9 })},
		"three tags":             {1, with(udp6, 7, 9, 11).Bytes(), 0, mod(base6, func(w *want) { w.VLAN, w.In = 7, 9 })},
		"five tags":              {1, with(udp6, 1, 2, 3, 4, 5).Bytes(), 0, want{Status: packet.Frame, VLAN: 1, In: 2, Ether: 0x8100, Payload: string(with(udp6, 1, 2, 3, 4, 5).Bytes()[30:]), OnNet: 57}},
		"priority tag":           {1, with(tcp4, 0xe000).Bytes(), 0, base4},
		"snap":                   {1, snap, 0, base4},
		"raw ipv4":               {101, tcp4.Bytes()[14:], 0, base4},
		"raw ipv6":               {101, udp6.Bytes()[14:], 0, base6},
		"linktype ipv6":          {229, udp6.Bytes()[14:], 0, base6},
		"null little endian":     {0, append([]byte{2, 0, 0, 0}, tcp4.Bytes()[14:]...), 0, base4},
		"null big endian":        {0, append([]byte{0, 0, 0, 30}, udp6.Bytes()[14:]...), 0, base6},
		"loop":                   {108, append([]byte{0, 0, 0, 24}, udp6.Bytes()[14:]...), 0, base6},
		"cooked":                 {113, sll, 0, base4},
		"cooked v2":              {276, sll2, 0, base6},
		"padding is no payload":  {1, append(tcp4.Bytes(), 0, 0, 0, 0), 0, base4},
		"cut payload":            {1, tcp4.Bytes()[:14+40+2], 59, mod(base4, func(w *want) { w.Payload = "he" })},
		"cut behind the ports":   {1, tcp4.Bytes()[:14+24], 59, mod(base4, func(w *want) { w.Payload, w.OnNet, w.Flags = "", 0, 0 })},
		"cut behind the flags":   {1, tcp4.Bytes()[:14+34], 59, mod(base4, func(w *want) { w.Payload, w.OnNet = "", 0 })},
		"cut behind ip":          {1, tcp4.Bytes()[:14+20], 59, mod(base4, func(w *want) { w.Payload, w.OnNet, w.Flags, w.SP, w.DP, w.Ports = "", 0, 0, 0, 0, false })},
		"cut in ip":              {1, tcp4.Bytes()[:14+19], 59, want{Status: packet.Snapped, Ether: 0x800}},
		"cut in ethernet":        {1, tcp4.Bytes()[:10], 59, want{Status: packet.Snapped}},
		"total length 0":         {1, edit(tcp4, func(ip []byte) { be.PutUint16(ip[2:], 0) }), 0, base4},
		"echo reply":             {1, ping.Bytes(), 0, want{Src: "10.0.0.1", Dst: "10.0.0.2", SP: 0, DP: 8, Proto: 1, Ports: true, Payload: "\x00\x01\x00\x01", OnNet: 4, Ether: 0x800}},
		"unreachable is one way": {1, unreachable.Bytes(), 0, want{Src: "10.0.0.1", Dst: "10.0.0.2", SP: 3, DP: 1, Proto: 1, Ports: true, One: true, Payload: "\x00\x01\x00\x01", OnNet: 4, Ether: 0x800}},
		"gre has no ports":       {1, gre.Bytes(), 0, want{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 47, Payload: "inner", OnNet: 5, Ether: 0x800}},
		"first fragment":         {1, edit(tcp4, func(ip []byte) { ip[6] = 0x20 }), 0, mod(base4, func(w *want) { w.Frag, w.Frst = true, true })},
		"later fragment":         {1, edit(tcp4, func(ip []byte) { ip[7] = 5 }), 0, want{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 6, Frag: true, Ether: 0x800}},
		"arp":                    {1, packettest.ARP(), 0, want{Status: packet.Frame, Ether: 0x806, Payload: string(packettest.ARP()[14:]), OnNet: 28}},
		"lldp":                   {1, []byte("\x01\x80\xc2\x00\x00\x0e\x02\x00\x00\x00\x00\x01\x88\xcc\x00\x00"), 0, want{Status: packet.Frame, Ether: 0x88cc, Payload: "\x00\x00", OnNet: 2}},
		"802.3":                  {1, []byte("\x01\x80\xc2\x00\x00\x00\x02\x00\x00\x00\x00\x01\x00\x26\x42\x42\x03"), 0, want{Status: packet.Frame, Ether: 0x26, Payload: "BB\x03", OnNet: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d packet.Decoder
			var p packet.Packet
			wire := max(c.wire, len(c.data))
			got := want{Status: d.Decode(c.link, c.data, wire, &p)}
			if p.Version != 0 {
				got.Src, got.Dst = text(p.Src), text(p.Dst)
			}
			got.SP, got.DP, got.Proto, got.VLAN, got.In, got.Flags = p.SrcPort, p.DstPort, p.Proto, p.VLAN, p.InnerVLAN, p.TCPFlags
			got.Payload, got.OnNet, got.Frag, got.Frst = string(p.Payload), p.PayloadOnNet, p.Fragment, p.FirstFrag
			got.Ports, got.One, got.Ether = p.HasPorts, p.OneWay, p.EtherType
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if int(p.WireLen) != wire {
				t.Errorf("length %d, want %d", p.WireLen, wire)
			}
		})
	}
}

func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	big := packettest.Frame{Src: ap("10.0.0.1:1"), Dst: ap("10.0.0.2:2"), Proto: 17, Payload: make([]byte, 100)}
	ext := func(n int, last ...byte) []byte { // n hop-by-hop headers, then last
		b := udp6.Bytes()[:54]
		for i := range n {
			if i == 0 {
				b[20] = 0
			}
			next := byte(17)
			if i < n-1 {
				next = 0
			}
			b = append(b, next, 0, 1, 4, 0, 0, 0, 0)
		}
		b = append(b, last...)
		be.PutUint16(b[18:], uint16(len(b)-54))
		return b
	}
	udp := []byte{0, 1, 0, 2, 0, 8, 0, 0}
	for name, c := range map[string]struct {
		link packet.LinkType
		data []byte
		want packet.Status
	}{
		"802.11":                        {105, make([]byte, 100), packet.UnsupportedLink},
		"unknown link type":             {9999, make([]byte, 100), packet.UnsupportedLink},
		"empty":                         {1, nil, packet.ShortLink},
		"empty raw":                     {101, nil, packet.ShortLink},
		"half an ethernet header":       {1, make([]byte, 13), packet.ShortLink},
		"half a tag":                    {1, []byte("\x01\x02\x03\x04\x05\x06\x01\x02\x03\x04\x05\x06\x81\x00\x00"), packet.ShortLink},
		"half a cooked header":          {113, make([]byte, 15), packet.ShortLink},
		"half a cooked v2 header":       {276, make([]byte, 19), packet.ShortLink},
		"half a loopback header":        {0, make([]byte, 3), packet.ShortLink},
		"short arp":                     {1, packettest.ARP()[:41], packet.ShortARP},
		"arp with long addresses":       {1, append(packettest.ARP()[:18], append([]byte{255, 255}, packettest.ARP()[20:]...)...), packet.ShortARP},
		"raw of version 5":              {101, append([]byte{0x55}, make([]byte, 60)...), packet.BadVersion},
		"ipv4 that says 6":              {1, edit(tcp4, func(ip []byte) { ip[0] = 0x65 }), packet.BadVersion},
		"ipv6 that says 4":              {1, edit(udp6, func(ip []byte) { ip[0] = 0x40 }), packet.BadVersion},
		"short ipv4":                    {1, tcp4.Bytes()[:33], packet.ShortIP},
		"short ipv6":                    {1, udp6.Bytes()[:53], packet.ShortIP},
		"header length 16":              {1, edit(tcp4, func(ip []byte) { ip[0] = 0x44 }), packet.BadHeaderLength},
		"header longer than the packet": {1, edit(tcp4, func(ip []byte) { ip[0] = 0x4f }), packet.BadHeaderLength},
		"total length 19":               {1, edit(tcp4, func(ip []byte) { be.PutUint16(ip[2:], 19) }), packet.BadTotalLength},
		"total length past the frame":   {1, edit(tcp4, func(ip []byte) { be.PutUint16(ip[2:], 46) }), packet.BadTotalLength},
		"ipv6 length past the frame":    {1, edit(udp6, func(ip []byte) { be.PutUint16(ip[4:], 99) }), packet.BadTotalLength},
		"16 extensions":                 {1, ext(16, udp...), packet.BadExtension},
		"extension past the packet":     {1, ext(1), packet.ShortTransport},
		"extension of one byte":         {1, append(ext(0)[:54:54], 17), packet.BadTotalLength + 0},
		"fragment past 65535":           {1, edit(big, func(ip []byte) { be.PutUint16(ip[6:], 0x1fff) }), packet.BadFragment},
		"short tcp":                     {1, edit(tcp4, func(ip []byte) { be.PutUint16(ip[2:], 39) }), packet.ShortTransport},
		"short udp":                     {1, edit(udp6, func(ip []byte) { be.PutUint16(ip[4:], 7) }), packet.ShortTransport},
		"tcp offset 16":                 {1, edit(tcp4, func(ip []byte) { ip[32] = 0x40 }), packet.BadTCPOffset},
		"tcp offset past the segment":   {1, edit(tcp4, func(ip []byte) { ip[32] = 0xf0 }), packet.BadTCPOffset},
		"udp length 7":                  {1, edit(udp6, func(ip []byte) { be.PutUint16(ip[44:], 7) }), packet.BadUDPLength},
		"udp length past the packet":    {1, edit(udp6, func(ip []byte) { be.PutUint16(ip[44:], 14) }), packet.BadUDPLength},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "extension of one byte" { // the length says one byte more
				c.data[20] = 0
				be.PutUint16(c.data[18:], 1)
				c.want = packet.BadExtension
			}
			var d packet.Decoder
			var p packet.Packet
			got := d.Decode(c.link, c.data, len(c.data), &p)
			if got != c.want || !got.Malformed() {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestExtensionsWithinTheLimit(t *testing.T) {
	t.Parallel()
	b := udp6.Bytes()[:54]
	b[20] = 0
	for i := range 15 {
		next := byte(60)
		if i == 14 {
			next = 17
		}
		b = append(b, next, 0, 1, 4, 0, 0, 0, 0)
	}
	b = append(b, 0, 1, 0, 2, 0, 8, 0, 0)
	be.PutUint16(b[18:], uint16(len(b)-54))
	var d packet.Decoder
	var p packet.Packet
	if got := d.Decode(1, b, len(b), &p); got != packet.IP || p.Proto != 17 || p.SrcPort != 1 || p.DstPort != 2 {
		t.Errorf("%v: protocol %d, ports %d, %d", got, p.Proto, p.SrcPort, p.DstPort)
	}
}

func TestStatusNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for s := range packet.StatusCount {
		if n := s.String(); n == "" || n == "unknown" || seen[n] {
			t.Errorf("status %d is called %q", s, n)
		} else {
			seen[n] = true
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	mix := packettest.Mix(1, 2000)
	var d packet.Decoder
	var p packet.Packet
	if n := testing.AllocsPerRun(10, func() {
		for _, f := range mix {
			d.Decode(1, f.Data, len(f.Data), &p)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDecode decodes a mix of traffic; ns/op is per packet.
func BenchmarkDecode(b *testing.B) {
	mix := packettest.Mix(42, 20_000)
	var d packet.Decoder
	var p packet.Packet
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := mix[i%len(mix)].Data
		d.Decode(1, f, len(f), &p)
	}
}
