package flow

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
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
		var got, want key
		want.of(&p)
		if got.glimpsed(&g); got != want {
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

// TestExpected: a table that is told what comes, or wrongly told, counts the
// same as one that is not.
func TestExpected(t *testing.T) {
	t.Parallel()
	plain, told, misled := New(Config{MaxFlows: 1024}), New(Config{MaxFlows: 1024}), New(Config{MaxFlows: 1024})
	misled.hash, told.hash = plain.hash, plain.hash
	var d packet.Decoder
	var known [MaxExpect]Near
	mix := packettest.Mix(5, 5000)
	found := 0
	for n, f := range mix {
		if n%MaxExpect == 0 {
			known = [MaxExpect]Near{}
			var list [MaxExpect]packet.Glimpse
			for i, next := range mix[n:min(n+MaxExpect, len(mix))] {
				if !packet.Glance(next.Data, &list[i]) {
					list[i].Proto = 0
				}
			}
			told.Expect(list[:], &known)
		}
		var p packet.Packet
		if d.Decode(packet.LinkEthernet, f.Data, len(f.Data), &p) != packet.IP {
			continue
		}
		p.Time = f.Time
		plain.Add(&p)
		near := known[n%MaxExpect]
		if near != 0 && told.slab[near-1].key == keyIn(&p) {
			found++
		}
		told.AddNear(&p, near)
		misled.AddNear(&p, Near(1+n%max(1, misled.high)))
	}
	if found < 2000 {
		t.Errorf("%d of %d packets were found where they were expected", found, len(mix))
	}
	want := flows(plain)
	if len(want) < 100 {
		t.Fatalf("%d flows", len(want))
	}
	for name, other := range map[string]*Table{"told": told, "misled": misled} {
		if diff := cmp.Diff(want, flows(other), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func keyIn(p *packet.Packet) key {
	var k key
	k.of(p)
	return k
}

func flows(t *Table) (all []network.Flow) {
	t.Finish(func(f *network.Flow) { all = append(all, *f) })
	return all
}
