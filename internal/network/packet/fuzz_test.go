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
			p.PayloadOnNet > wire && !(p.Fragment && p.Tunnel != 0) {
			t.Errorf("payload of %d bytes, %d on the wire, in a frame of %d, %d", len(p.Payload), p.PayloadOnNet, len(data), wire)
		}
		if status == packet.IP && p.Version != 4 && p.Version != 6 {
			t.Errorf("IP of version %d", p.Version)
		}
	})
}
