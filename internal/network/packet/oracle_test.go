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

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// oracle is what another decoder sees in a frame, as far as both look. It
// follows the layers from the link to the first transport header and says
// what it found in a line of text, "" when it found no IP or a fault.
func oracle(link layers.LinkType, data []byte) string {
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true})
	if p.Metadata().Truncated {
		return "" // a length past the frame
	}
	vlans, ip, tags := [2]uint16{}, "", 0
	for _, l := range p.Layers() {
		switch v := l.(type) {
		case *layers.Dot1Q:
			if tags < 2 {
				vlans[tags] = v.VLANIdentifier
			}
			tags++
		case *layers.IPv4:
			ip = fmt.Sprintf("%v>%v ttl %d", v.SrcIP, v.DstIP, v.TTL)
			if v.FragOffset > 0 || v.Flags&layers.IPv4MoreFragments != 0 {
				return fmt.Sprintf("%v %s fragment %d", vlans, ip, v.Id)
			}
		case *layers.IPv6:
			ip = fmt.Sprintf("%v>%v ttl %d", v.SrcIP, v.DstIP, v.HopLimit)
		case *layers.IPv6Fragment:
			if v.FragmentOffset > 0 || v.MoreFragments {
				return fmt.Sprintf("%v %s fragment %d", vlans, ip, v.Identification)
			}
		case *layers.TCP:
			if len(v.Contents) < 14 {
				return ""
			}
			return fmt.Sprintf("%v %s tcp %d>%d flags %08b seq %d ack %d payload %x", vlans, ip, v.SrcPort, v.DstPort,
				v.Contents[13], v.Seq, v.Ack, v.Payload)
		case *layers.UDP:
			return fmt.Sprintf("%v %s udp %d>%d payload %x", vlans, ip, v.SrcPort, v.DstPort, v.Payload)
		case *layers.ICMPv4:
			return fmt.Sprintf("%v %s icmp %d", vlans, ip, v.TypeCode.Type())
		case *layers.ICMPv6:
			return fmt.Sprintf("%v %s icmp6 %d", vlans, ip, v.TypeCode.Type())
		}
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
		return fmt.Sprintf("%s tcp %d>%d flags %08b seq %d ack %d payload %x", head, p.SrcPort, p.DstPort, p.TCPFlags, p.Seq, p.Ack, p.Payload)
	case p.Proto == 17:
		return fmt.Sprintf("%s udp %d>%d payload %x", head, p.SrcPort, p.DstPort, p.Payload)
	case p.Proto == 1:
		return fmt.Sprintf("%s icmp %d", head, p.SrcPort)
	case p.Proto == 58:
		return fmt.Sprintf("%s icmp6 %d", head, p.SrcPort)
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
	want, got := oracle(link, data), ""
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
