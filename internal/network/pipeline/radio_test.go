package pipeline_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/remoteid/remoteidtest"
	"github.com/rind-project/rind/internal/network/packet/wifi/wifitest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

var (
	accessPoint = network.MAC{2, 1, 1, 1, 1, 1}
	station     = network.MAC{2, 2, 2, 2, 2, 2}
	beyond      = network.MAC{2, 3, 3, 3, 3, 3}
)

// subframe is one of an aggregated data frame.
func subframe(b []byte, content []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(append(b, beyond[:]...), station[:]...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(content))), content...)
}

// ip is a DNS question as the content of a data frame.
func ip(port uint16) []byte {
	f := packettest.Frame{Src: netip.AddrPortFrom(netip.MustParseAddr("10.1.0.1"), port), Dst: netip.MustParseAddrPort("10.1.0.2:53"),
		Proto: 17, Payload: packettest.Query(1, "air.example.com", 1)}.Bytes()
	return wifitest.SNAP(0x0800, f[14:]...)
}

// onAir are frames of an access point, a station and an aircraft.
func onAir() [][]byte {
	w := wifitest.Frame
	open := ip(1111)
	frames := [][]byte{
		wifitest.Beacon(accessPoint, 0x0411, wifitest.SSID("net")),
		w(wifitest.ProbeReq, 0, wifitest.Broadcast, station, wifitest.Broadcast, 1, wifitest.SSID("net")),
		w(wifitest.Deauth, 0, station, accessPoint, accessPoint, 1, []byte{7, 0}),
		wifitest.Beacon(network.MAC{0x60, 0x60, 0x1f, 1, 2, 3}, 1, wifitest.SSID("RID-1"), wifitest.Vendor(0xfa0bbc0d, append([]byte{9}, remoteidtest.Pack()...)...)),
		w(wifitest.QoS, wifitest.ToDS, accessPoint, station, beyond, 16, []byte{0, 0}, wifitest.SNAP(0x0806, packettest.ARP()[14:]...)),
		w(wifitest.QoS, wifitest.ToDS, accessPoint, station, beyond, 32, []byte{0, 0}, open),
		w(wifitest.QoS, wifitest.ToDS, accessPoint, station, beyond, 48, []byte{0x80, 0}, subframe(subframe(nil, ip(2222)), ip(3333))),
		w(wifitest.QoS, wifitest.ToDS, accessPoint, station, beyond, 64, []byte{0, 0}, open[:12]), // ends inside the IP header
		{0x80, 0, 0}, // no frame
	}
	for i := range frames {
		frames[i] = wifitest.Radiotap(0, 2437, -42, frames[i])
	}
	return frames
}

// TestRadio counts each frame once, and what is carried in the clear in its
// flow.
func TestRadio(t *testing.T) {
	t.Parallel()
	p := pipeline.New(pipeline.Config{})
	size, frames := 0, onAir()
	for i, f := range frames {
		size += len(f)
		p.Packet(int64(i+1)*1e9, packet.LinkRadiotap, f, len(f))
	}
	r := p.Finish(time.Unix(100, 0))
	l, c := r.Interfaces[0], p.Counters()
	if !l.Balanced() || l.Received != uint64(len(frames)) || l.Bytes != uint64(size) || l.Malformed != 2 || l.Summarised != 7 {
		t.Errorf("ledger %+v", l)
	}
	if c.WiFi.Frames != 4 || c.WiFi.Malformed != 1 || c.WiFi.Aggregated != 1 || c.EtherTypes[0x806] != 1 {
		t.Errorf("%+v, %v", c.WiFi, c.EtherTypes)
	}
	packets, bytes := uint64(0), uint64(0)
	for _, f := range r.Flows {
		packets += f.SrcPkts
		bytes += f.SrcBytes
		if f.SrcMAC != station || f.DstMAC != beyond || f.App != "dns" {
			t.Errorf("%+v", f)
		}
	}
	if want := uint64(len(frames[5]) + len(frames[6])); packets != 3 || bytes != want {
		t.Errorf("%d packets, %d bytes in flows, want 3 and %d", packets, bytes, want)
	}
	if len(r.DNS) != 3 || len(r.Neighbors) != 1 || len(r.WiFiNetworks) != 2 || len(r.WiFiEvents) != 1 || len(r.Drones) != 1 || len(r.WiFiClients) == 0 {
		t.Errorf("%d questions, %d neighbors, %+v", len(r.DNS), len(r.Neighbors), r.Records)
	}
	p = pipeline.New(pipeline.Config{Settings: pipeline.Settings{Disabled: []string{"wifi"}}})
	p.Packet(1, packet.LinkRadiotap, frames[0], len(frames[0]))
	if r := p.Finish(time.Unix(100, 0)); r.Interfaces[0].Malformed != 1 || len(r.WiFiNetworks) != 0 {
		t.Errorf("switched off: %+v", r.Interfaces[0])
	}
}
