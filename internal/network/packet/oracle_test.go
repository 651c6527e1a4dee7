package packet_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// oracle is what another decoder sees in a frame, as far as both look. It
// follows the layers from the link to the first transport header, or, when
// the frame is a tunnel's, to the last, and says what it found in a line of
// text, "" when it found no IP or a fault.
func oracle(link layers.LinkType, data []byte, inner bool) string {
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true})
	if p.Metadata().Truncated {
		return "" // a length past the frame
	}
	vlans, ip, tags, found := [2]uint16{}, "", 0, ""
	for _, l := range p.Layers() {
		switch v := l.(type) {
		case *layers.Dot1Q:
			if tags < 2 {
				vlans[tags] = v.VLANIdentifier
			}
			tags++
		case *layers.IPv4:
			ip, found = fmt.Sprintf("%v>%v ttl %d", v.SrcIP, v.DstIP, v.TTL), ""
			if v.FragOffset > 0 || v.Flags&layers.IPv4MoreFragments != 0 {
				return fmt.Sprintf("%v %s fragment %d", vlans, ip, v.Id)
			}
		case *layers.IPv6:
			ip, found = fmt.Sprintf("%v>%v ttl %d", v.SrcIP, v.DstIP, v.HopLimit), ""
		case *layers.IPv6Fragment:
			if v.FragmentOffset > 0 || v.MoreFragments {
				return fmt.Sprintf("%v %s fragment %d", vlans, ip, v.Identification)
			}
		default:
			if t := transport(l); t != "" {
				found = fmt.Sprintf("%v %s %s", vlans, ip, t)
			}
			if found != "" && !inner {
				return found
			}
		}
	}
	return found
}

// transport is a line for a transport header, and "" for anything else.
func transport(l gopacket.Layer) string {
	switch v := l.(type) {
	case *layers.TCP:
		if len(v.Contents) < 14 {
			return ""
		}
		return fmt.Sprintf("tcp %d>%d flags %08b seq %d ack %d window %d payload %x", v.SrcPort, v.DstPort,
			v.Contents[13], v.Seq, v.Ack, v.Window, v.Payload)
	case *layers.UDP:
		return fmt.Sprintf("udp %d>%d payload %x", v.SrcPort, v.DstPort, v.Payload)
	case *layers.ICMPv4:
		return fmt.Sprintf("icmp %d", v.TypeCode.Type())
	case *layers.ICMPv6:
		return fmt.Sprintf("icmp6 %d", v.TypeCode.Type())
	case *layers.SCTP:
		return fmt.Sprintf("sctp %d>%d", v.SrcPort, v.DstPort)
	case *layers.IGMPv1or2:
		return "igmp"
	case *layers.IGMP:
		return "igmp"
	}
	return ""
}

// ours says the same of a Packet.
func ours(p *packet.Packet) string {
	head := fmt.Sprintf("%v %s>%s ttl %d", [2]uint16{p.VLAN, p.InnerVLAN}, text(p.Src), text(p.Dst), p.TTL)
	switch {
	case p.Fragment:
		return fmt.Sprintf("%s fragment %d", head, p.FragID)
	case p.Proto == 6:
		return fmt.Sprintf("%s tcp %d>%d flags %08b seq %d ack %d window %d payload %x", head, p.SrcPort, p.DstPort, p.TCPFlags, p.Seq, p.Ack, p.Window, p.Payload)
	case p.Proto == 17:
		return fmt.Sprintf("%s udp %d>%d payload %x", head, p.SrcPort, p.DstPort, p.Payload)
	case p.Proto == 1:
		return fmt.Sprintf("%s icmp %d", head, p.SrcPort)
	case p.Proto == 58:
		return fmt.Sprintf("%s icmp6 %d", head, p.SrcPort)
	case p.Proto == 132:
		return fmt.Sprintf("%s sctp %d>%d", head, p.SrcPort, p.DstPort)
	case p.Proto == 2:
		return head + " igmp"
	}
	return ""
}

// compare decodes a frame with both, and reports whether there was something
// to compare. The other decoder finds faults also in what the payload holds,
// so its silence says nothing; and it accepts three faults that ours refuses.
func compare(t *testing.T, link layers.LinkType, data []byte) bool {
	t.Helper()
	var d packet.Decoder
	var p packet.Packet
	status := d.Decode(packet.LinkType(link), data, len(data), &p)
	want, got := oracle(link, data, p.Tunnel != network.TunnelNone), ""
	switch status {
	case packet.IP:
		got = ours(&p)
	case packet.Frame, packet.BadVersion, packet.BadUDPLength, packet.BadFragment:
		return false
	}
	if got == want || want == "" || got == "" && status == packet.IP { // the last: a tunnel
		return got != "" && want != ""
	}
	t.Errorf("frame %x\n got %q (%v)\nwant %q", data, got, status, want)
	return true
}

func TestOracleMix(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range packettest.Mix(7, 20_000) {
		if compare(t, layers.LinkTypeEthernet, f.Data) {
			n++
		}
	}
	if n < 15_000 {
		t.Errorf("only %d frames were compared", n)
	}
}

func TestOracleMutated(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	n := 0
	for _, f := range packettest.Mix(8, 50_000) {
		if compare(t, layers.LinkTypeEthernet, packettest.Mutate(rng, f.Data)) {
			n++
		}
		if t.Failed() {
			return
		}
	}
	if n < 20_000 {
		t.Errorf("only %d frames were compared", n)
	}
}

// carriers wrap a frame in each tunnel that the other decoder opens too.
var carriers = map[string]func(frame []byte) []byte{
	"vxlan":  func(b []byte) []byte { return over(17, 4789, join([]byte{8, 0, 0, 0, 0, 0x12, 0x34, 0}, b)) },
	"geneve": func(b []byte) []byte { return over(17, 6081, join([]byte{0, 0, 0x65, 0x58, 0, 0, 99, 0}, b)) },
	"gre": func(b []byte) []byte {
		return over(47, 0, join([]byte{0x30, 0, 0x65, 0x58, 0, 0, 0, 8, 0, 0, 0, 1}, b))
	},
	"ipip": func(b []byte) []byte { return over(map[byte]uint8{4: 4, 6: 41}[b[14]>>4], 0, b[14:]) },
	"mpls": func(b []byte) []byte { return link(0x8847, join([]byte{0, 0, 0x10, 64, 0, 0, 0x21, 64}, b[14:])) },
	"pppoe": func(b []byte) []byte {
		n := be.AppendUint16(nil, uint16(len(b)-12))
		return link(0x8864, join([]byte{0x11, 0, 0, 9}, n, map[byte][]byte{4: {0, 0x21}, 6: {0, 0x57}}[b[14]>>4], b[14:]))
	},
}

// TestOracleTunnels compares the mix inside of every tunnel.
func TestOracleTunnels(t *testing.T) {
	t.Parallel()
	mix := packettest.Mix(9, 4000)
	for name, wrap := range carriers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, f := range mix {
				if typ := be.Uint16(f.Data[12:]); len(f.Data) < 60 || typ != 0x0800 && typ != 0x86dd {
					continue
				}
				if b := wrap(f.Data); compare(t, layers.LinkTypeEthernet, b) {
					var d packet.Decoder
					var p packet.Packet
					if d.Decode(packet.LinkEthernet, b, len(b), &p); p.Tunnel.String() == name {
						n++
					}
				}
			}
			if n < 2000 {
				t.Errorf("only %d inner packets were compared", n)
			}
		})
	}
}

// TestOracleTransports has the protocols that the mix has not.
func TestOracleTransports(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"sctp":   over(132, 0, []byte{0x1f, 0x90, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1}),
		"igmpv2": over(2, 0, []byte{0x16, 0, 9, 4, 224, 0, 0, 251}),
		"igmpv3": over(2, 0, []byte{0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251}),
	} {
		if !compare(t, layers.LinkTypeEthernet, b) {
			t.Errorf("%s was not compared", name)
		}
	}
}

func TestOracleCorpus(t *testing.T) {
	t.Parallel()
	dir, _ := os.Getwd()
	root := filepath.Join(dir, "../../../../shared/pcaps")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no captures in %s: the test needs them", root)
	}
	n := 0
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pcap" {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := pcapgo.NewReader(f)
		if err != nil || r.LinkType() != layers.LinkTypeEthernet {
			return nil
		}
		for {
			data, ci, err := r.ReadPacketData()
			if err != nil {
				return nil
			}
			if ci.CaptureLength == ci.Length && compare(t, r.LinkType(), data) {
				n++
			}
		}
	})
	if n < 500 {
		t.Errorf("only %d frames were compared", n)
	}
	t.Logf("%d frames compared", n)
}
