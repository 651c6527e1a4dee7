package flow

import (
	"net/netip"
	"testing"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// TestGlimpsedKey: what a glance makes of a frame is the key of its flow, and
// frames that a glance cannot know are left alone.
func TestGlimpsedKey(t *testing.T) {
	t.Parallel()
	var d packet.Decoder
	known := 0
	for _, f := range packettest.Mix(5, 5000) {
		var p packet.Packet
		var g packet.Glimpse
		status := d.Decode(packet.LinkEthernet, f.Data, len(f.Data), &p)
		if !packet.Glance(f.Data, &g) || status != packet.IP {
			continue
		}
		known++
		want, _ := keyOf(&p)
		if got := glimpsed(&g); got != want {
			t.Fatalf("% x has the key %x, want %x", f.Data[:40], got, want)
		}
	}
	if known < 3000 {
		t.Errorf("%d frames are known at a glance", known)
	}
	for n := range 80 {
		frame := packettest.Frame{Src: netip.MustParseAddrPort("192.0.2.1:1"), Dst: netip.MustParseAddrPort("192.0.2.2:2"), Proto: 6}.Bytes()
		var g packet.Glimpse
		if packet.Glance(frame[:min(n, len(frame))], &g) != (n >= 38) {
			t.Errorf("a frame of %d bytes", n)
		}
	}
}

// TestExpectChangesNothing: a table that is told what comes counts the same.
func TestExpectChangesNothing(t *testing.T) {
	t.Parallel()
	table := New(Config{MaxFlows: 1024})
	var list []packet.Glimpse
	for i := range 100 {
		list = append(list, packet.Glimpse{SrcPort: uint16(i), Proto: 6})
	}
	table.Expect(nil)
	table.Expect(list)
	if s := table.Stats(); s.Active != 0 {
		t.Errorf("%+v", s)
	}
}
