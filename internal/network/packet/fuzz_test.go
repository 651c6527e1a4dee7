package packet_test

import (
	"testing"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

func FuzzDecode(f *testing.F) {
	for _, frame := range packettest.Mix(5, 60) {
		f.Add(uint16(1), frame.Data, 0)
	}
	f.Add(uint16(0), append([]byte{2, 0, 0, 0}, tcp4.Bytes()[14:]...), 0)
	f.Add(uint16(101), udp6.Bytes()[14:], 0)
	f.Add(uint16(113), append(make([]byte, 16), tcp4.Bytes()[14:]...), 9)
	f.Add(uint16(276), append(make([]byte, 20), tcp4.Bytes()[14:]...), 9)
	f.Add(uint16(1), over(17, 4789, join([]byte{8, 0, 0, 0, 0, 0, 1, 0}, inner.Bytes())), 0)
	f.Add(uint16(1), over(17, 6081, join([]byte{1, 0, 0x65, 0x58, 0, 0, 99, 0, 1, 2, 3, 0}, inner.Bytes())), 0)
	f.Add(uint16(1), over(47, 0, join([]byte{0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 77, 0, 0, 0, 1}, inner.Bytes()[14:])), 0)
	f.Add(uint16(1), link(0x8847, join([]byte{0, 0, 0, 64, 0, 0, 0x11, 64}, inner.Bytes()[14:])), 0)
	f.Add(uint16(1), link(0x8864, join([]byte{0x11, 0, 0, 1, 0, 47, 0, 0x21}, inner.Bytes()[14:])), 0)
	f.Add(uint16(9), join([]byte{0xff, 3, 0, 0x21}, inner.Bytes()[14:]), 0)
	f.Fuzz(func(t *testing.T, link uint16, data []byte, more int) {
		wire := len(data) + more&0xffff
		var d packet.Decoder
		var p packet.Packet
		status := d.Decode(packet.LinkType(link), data, wire, &p)
		if status >= packet.StatusCount {
			t.Fatalf("status %d", status)
		}
		if int(p.WireLen) != wire {
			t.Errorf("length %d, want %d", p.WireLen, wire)
		}
		if len(p.Payload) > len(data) || p.PayloadOnNet < len(p.Payload) ||
			p.PayloadOnNet > wire && (!p.Fragment || p.Tunnel == 0) {
			t.Errorf("payload of %d bytes, %d on the wire, in a frame of %d, %d", len(p.Payload), p.PayloadOnNet, len(data), wire)
		}
		if p.Fragment && status == packet.IP {
			d.Datagram(&p, data)
			if len(p.Payload) > len(data) || p.Reassembled && p.PayloadOnNet < len(p.Payload) {
				t.Errorf("payload of %d bytes, %d on the wire, in a datagram of %d", len(p.Payload), p.PayloadOnNet, len(data))
			}
		}
		if status == packet.IP && p.Version != 4 && p.Version != 6 {
			t.Errorf("IP of version %d", p.Version)
		}
	})
}
