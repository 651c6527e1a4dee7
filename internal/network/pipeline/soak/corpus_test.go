package soak

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rind-project/rind/bench/tap/gen"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/remoteid/remoteidtest"
	"github.com/rind-project/rind/internal/network/packet/wifi/wifitest"
)

// maxPackets is how many packets of one capture are taken.
const maxPackets = 5000

// frame is one captured packet.
type frame struct {
	ts   int64
	link packet.LinkType
	data []byte
	wire int
}

// trace is a capture in memory.
type trace struct {
	name   string
	frames []frame
}

// Packet implements capture.Handler.
func (c *trace) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	if len(c.frames) < maxPackets {
		c.frames = append(c.frames, frame{ts, link, slices.Clone(data), wireLen})
	}
}

// corpus reads every capture that is there: the committed ones, a made-up mix,
// fragments, frames of 802.11, and those beside the repository.
func corpus(t *testing.T) []*trace {
	t.Helper()
	files, err := filepath.Glob("../../packet/*/testdata/*.pcap")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d captures beside the parsers, %v", len(files), err)
	}
	mix := filepath.Join(t.TempDir(), "mix.pcap")
	if _, err := gen.WriteFile(mix, gen.Config{Seed: 1, Packets: 20_000, Flows: 1000, Span: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	files = append(append(files, mix), shared(t)...)
	all := []*trace{onAir(), fragments(), flood()}
	for _, path := range files {
		c := &trace{name: filepath.Base(path)}
		f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Read(c, 0)
		}
		f.Close()
		if !errors.Is(err, io.EOF) {
			t.Logf("%s is damaged, and taken up to there: %v", path, err)
		}
		if len(c.frames) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// shared returns the captures beside the repository.
func shared(t *testing.T) (files []string) {
	t.Helper()
	root, err := filepath.Abs("../../../../../shared/pcaps")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains([]string{".pcap", ".cap", ".pcapng", ".gz"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Logf("without the captures of %s, which are not there", root)
	}
	return files
}

// onAir are frames of 802.11, with the protocols that no capture here has.
func onAir() *trace {
	ap, station, other := network.MAC{2, 1, 1, 1, 1, 1}, network.MAC{2, 2, 2, 2, 2, 2}, network.MAC{2, 3, 3, 3, 3, 3}
	w := wifitest.Frame
	query := packettest.Frame{Src: netip.MustParseAddrPort("10.1.0.1:1111"), Dst: netip.MustParseAddrPort("10.1.0.2:53"),
		Proto: 17, Payload: packettest.Query(1, "air.example.com", 1)}.Bytes()
	content := wifitest.SNAP(0x0800, query[14:]...)
	sub := append(append(append([]byte{}, other[:]...), station[:]...), 0, byte(len(content)))
	sub = append(sub, content...)
	c := &trace{name: "on air (made)"}
	for i, b := range [][]byte{
		wifitest.Beacon(ap, 0x0411, wifitest.SSID("net")),
		w(wifitest.ProbeReq, 0, wifitest.Broadcast, station, wifitest.Broadcast, 1, wifitest.SSID("net")),
		w(wifitest.Deauth, 0, station, ap, ap, 1, []byte{7, 0}),
		wifitest.Beacon(network.MAC{0x60, 0x60, 0x1f, 1, 2, 3}, 1, wifitest.SSID("RID-1"), wifitest.Vendor(0xfa0bbc0d, append([]byte{9}, remoteidtest.Pack()...)...)),
		w(wifitest.QoS, wifitest.ToDS, ap, station, other, 32, []byte{0, 0}, content),
		w(wifitest.QoS, wifitest.ToDS, ap, station, other, 48, []byte{0x80, 0}, sub),
	} {
		b = wifitest.Radiotap(0, 2437, -42, b)
		c.frames = append(c.frames, frame{int64(i) * 1e6, packet.LinkRadiotap, b, len(b)})
	}
	return c
}

// fragments are datagrams in parts, which hold DNS.
func fragments() *trace {
	c := &trace{name: "fragments (made)"}
	for i := range 200 {
		b := packettest.Frame{Src: netip.MustParseAddrPort("10.2.0.1:1111"), Dst: netip.MustParseAddrPort("10.2.0.2:53"),
			Proto: 17, Payload: append(packettest.Query(uint16(i), "in.parts.example.com", 1), make([]byte, 10*i)...)}.Bytes()
		for _, part := range packettest.Fragments(b, 64+8*(i%20), uint32(i)) {
			c.frames = append(c.frames, frame{int64(i) * 1e8, packet.LinkEthernet, part, len(part)})
		}
	}
	return c
}

// flood begins connections of which each says the half of something.
func flood() *trace {
	c := &trace{name: "flood (made)"}
	hello := packettest.ClientHello("half.example.com")
	for i := range maxPackets {
		b := packettest.Frame{Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i)}), uint16(1024+i)),
			Dst: netip.MustParseAddrPort("10.4.0.1:443"), Proto: 6, Flags: packet.ACK, Payload: hello[:100+i%100]}.Bytes()
		c.frames = append(c.frames, frame{int64(i) * 1e6, packet.LinkEthernet, b, len(b)})
	}
	return c
}
