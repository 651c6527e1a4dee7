package flow_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

// numbered returns a packet of flow n.
func numbered(n uint32, at int64) *packet.Packet {
	return &packet.Packet{
		Time: at, WireLen: 100, Version: 4, Proto: 17, SrcPort: 41000, DstPort: 42000, HasPorts: true,
		Src: packet.Addr{Lo: 0xffff_0000_0000 | uint64(n)}, Dst: packet.Addr{Lo: 0xffff_0a00_0001},
	}
}

// TestAgainstMap compares the table with a Go map through random additions
// and reports, so that a slot lost when a record leaves would be seen.
func TestAgainstMap(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	tb := flow.New(flow.Config{MaxFlows: 4096, Timeouts: flow.Timeouts{UDP: 50 * time.Nanosecond}})
	model := map[netip.Addr]uint64{}
	for now := int64(1); now < 60_000; now++ {
		n := rng.Uint32N(3000)
		tb.Add(numbered(n, now))
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], n)
		model[netip.AddrFrom4(b)]++
		if now%1000 != 0 {
			continue
		}
		seen := map[netip.Addr]uint64{}
		tb.Report(time.Unix(0, now), func(f *network.Flow) {
			k := f.Source
			if k == netip.MustParseAddr("10.0.0.1") {
				k = f.Dest
			}
			seen[k] += f.SrcPkts + f.DstPkts
		})
		if len(seen) != len(model) {
			t.Fatalf("%d flows, want %d", len(seen), len(model))
		}
		for k, v := range model {
			if seen[k] != v {
				t.Fatalf("%v has %d packets, want %d", k, seen[k], v)
			}
		}
		clear(model)
		if a := tb.Stats().Active; a > 60 {
			t.Fatalf("%d flows are left; those of the last 50 ns should be", a)
		}
	}
}

// TestFullTable sends a million flows through a table of 2048 and checks that
// every packet is in a report or refused, and that memory is bounded.
func TestFullTable(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{MaxFlows: 2048, MaxSpill: 8192})
	var kept, reported, early uint64
	visit := func(f *network.Flow) { reported += f.SrcPkts + f.DstPkts }
	for n := range uint32(1_000_000) {
		if r, _ := tb.Add(numbered(n, int64(n))); r != nil {
			kept++
		}
		if n%50_000 == 0 {
			tb.Report(time.Unix(0, int64(n)), visit)
		} else if n%7 == 0 && n < 300_000 && tb.Due() {
			early++
			tb.Report(time.Unix(0, int64(n)), visit)
		}
	}
	tb.Finish(visit)
	s := tb.Stats()
	if kept != reported || kept+s.Refused != 1_000_000 {
		t.Errorf("kept %d, reported %d, refused %d", kept, reported, s.Refused)
	}
	if s.Refused == 0 || s.Evicted == 0 || early == 0 {
		t.Errorf("nothing was refused, evicted or early: %+v, %d", s, early)
	}
	if s.Active != 0 {
		t.Errorf("%d flows after the end", s.Active)
	}
}

// TestEvictionTakesTheOldest fills the table, uses half of it again, and
// checks that the other half goes first.
func TestEvictionTakesTheOldest(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{MaxFlows: 1024, MaxSpill: 1024})
	now := int64(0)
	add := func(n uint32) { now++; tb.Add(numbered(n, now)) }
	for n := range uint32(1024) {
		add(n)
	}
	for n := uint32(0); n < 1024; n += 2 {
		add(n)
	}
	for n := range uint32(400) {
		add(10_000 + n)
	}
	evicted := map[uint32]bool{}
	tb.Report(time.Unix(0, now), func(f *network.Flow) {
		a := f.Source
		if f.Ended {
			evicted[binary.BigEndian.Uint32(a.AsSlice())] = true
		}
	})
	for n := range evicted {
		if n < 10_000 && n%2 == 0 {
			t.Errorf("flow %d was used lately and had to go", n)
		}
	}
	if len(evicted) < 400 {
		t.Errorf("%d flows went", len(evicted))
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	tb := flow.New(flow.Config{MaxFlows: 2048})
	p := make([]*packet.Packet, 1500)
	for i := range p {
		p[i] = numbered(uint32(i), 1)
	}
	if n := testing.AllocsPerRun(20, func() {
		for _, q := range p {
			tb.Add(q)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{})
	p := numbered(1, 1)
	tb.Add(p)
	r, side := tb.Add(p)
	tb.Undo(r, side, p)
	q := numbered(2, 1)
	r, side = tb.Add(q)
	tb.Undo(r, side, q)
	n := 0
	tb.Finish(func(f *network.Flow) {
		if n++; f.SrcPkts+f.DstPkts != 1 || f.SrcBytes+f.DstBytes != 100 {
			t.Errorf("%+v", f)
		}
	})
	if n != 1 {
		t.Errorf("%d flows", n)
	}
}

// BenchmarkAdd counts packets into 100,000 flows in random order, which is
// what costs cache misses; ns/op is per packet.
func BenchmarkAdd(b *testing.B) {
	const flows = 100_000
	tb := flow.New(flow.Config{})
	rng := rand.New(rand.NewPCG(1, 2))
	order := make([]uint32, 1<<18)
	for i := range order {
		order[i] = rng.Uint32N(flows)
	}
	p := numbered(0, 1)
	p.Proto, p.Whole, p.TCPFlags, p.Window, p.PayloadOnNet = 6, true, packet.ACK, 500, 100
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Time++
		p.Seq += 100
		p.Src.Lo = 0xffff_0000_0000 | uint64(order[i&(len(order)-1)])
		tb.Add(p)
	}
}
