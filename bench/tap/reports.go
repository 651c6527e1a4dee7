package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

const (
	maxAllocs = 0.05                  // per packet over the whole capture
	maxEncode = 25 * time.Millisecond // of CPU for 50,000 flows
	maxFull   = 32.0                  // bytes of a flow with every field
	maxBasic  = 25.0                  // and with the sixteen basic columns
	rows      = 50_000
)

// allocations counts the allocations of a whole reading, and those of packets
// of flows that are there already.
func allocations(_ context.Context, o *options, path string) error {
	e, err := report.NewEncoder()
	if err != nil {
		return err
	}
	p := pipeline.New(pipeline.Config{Interface: path})
	before := mallocs()
	if err := work(path, p, e); err != nil {
		return err
	}
	each := float64(mallocs()-before) / float64(o.mix.Packets)
	steady, err := established()
	if err != nil {
		return err
	}
	result("allocs", each, maxAllocs, "")
	fmt.Printf("RESULT name=allocs-established ours=%d limit=0 ratio=%d\n", steady, steady)
	if each > maxAllocs || steady > 0 {
		return fmt.Errorf("%.3f allocations per packet and %d for a million packets of established flows; wanted are at most %g and 0", each, steady, maxAllocs)
	}
	return nil
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// established sends a million segments of a thousand connections, behind
// their hellos and an alert in answer, through everything.
func established() (allocated uint64, err error) {
	p := pipeline.New(pipeline.Config{})
	frames := make([][]byte, 1000)
	hello := packettest.ClientHello("established.example", "h2")
	for i := range frames {
		f := packettest.Frame{Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 40000),
			Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 443), Proto: 6, Flags: packet.ACK, Payload: hello}
		b := f.Bytes()
		p.Packet(1e9, packet.LinkEthernet, b, len(b))
		alert := packettest.Frame{Src: f.Dst, Dst: f.Src, Proto: 6, Flags: packet.ACK, Payload: []byte{21, 3, 3, 0, 2, 2, 40}}.Bytes()
		p.Packet(1e9, packet.LinkEthernet, alert, len(alert))
		f.Seq += uint32(len(hello))
		f.Payload = append([]byte{23, 3, 3, 3, 0xe8}, make([]byte, 1000)...)
		frames[i] = f.Bytes()
	}
	send := func() {
		for _, b := range frames {
			p.Packet(2e9, packet.LinkEthernet, b, len(b))
			seq := b[14+20+4:]
			binary.BigEndian.PutUint32(seq, binary.BigEndian.Uint32(seq)+1005)
		}
	}
	before := mallocs()
	for range 1000 {
		send()
	}
	allocated = mallocs() - before
	r := p.Finish(time.Unix(3, 0))
	if len(r.Flows) != len(frames) || len(r.TLS) != len(frames) {
		return 0, fmt.Errorf("%d flows and %d hellos of %d connections", len(r.Flows), len(r.TLS), len(frames))
	}
	return allocated, nil
}

// encoding measures a report of 50,000 flows.
func encoding(_ context.Context, _ *options, _ string) error {
	full := reporttest.New(1, network.Identity{Tap: "bench", Boot: boot, Sequence: 1}, time.Unix(1_762_000_000, 0), reporttest.Size{Flows: rows})
	basic := *full
	basic.Flows = slices.Clone(full.Flows)
	for i := range basic.Flows {
		basic.Flows[i] = basicColumns(&basic.Flows[i])
	}
	e, err := report.NewEncoder()
	if err != nil {
		return err
	}
	worst, large, err := encode(e, full)
	if err != nil {
		return err
	}
	quick, small, err := encode(e, &basic)
	if err != nil {
		return err
	}
	fmt.Printf("%d flows with every field: %.1f ms of CPU, %.1f bytes a flow; with the sixteen basic columns: %.1f ms, %.1f bytes\n",
		rows, worst.Seconds()*1e3, large, quick.Seconds()*1e3, small)
	result("encode", worst.Seconds()*1e3, maxEncode.Seconds()*1e3, "ms")
	result("bytes-per-flow", large, maxFull, "B")
	result("bytes-per-flow-basic", small, maxBasic, "B")
	if worst > maxEncode || large > maxFull || small > maxBasic {
		return fmt.Errorf("a report costs more than it may")
	}
	return nil
}

// encode returns the CPU time of one encoding, the median of many, and the
// bytes of a flow.
func encode(e *report.Encoder, r *network.Report) (time.Duration, float64, error) {
	var took []time.Duration
	var out []byte
	for range 31 {
		began := ownCPU()
		b, err := e.Encode(r)
		if err != nil {
			return 0, 0, err
		}
		took, out = append(took, ownCPU()-began), bytes.Clone(b)
	}
	slices.Sort(took)
	return took[len(took)/2], float64(len(out)) / float64(len(r.Flows)), nil
}

// basicColumns leaves a flow its times, addresses, ports, protocol, tag,
// packets, bytes, flags, state and application.
func basicColumns(f *network.Flow) network.Flow {
	return network.Flow{Start: f.Start, End: f.End, Source: f.Source, Dest: f.Dest, SrcPort: f.SrcPort, DstPort: f.DstPort, Proto: f.Proto,
		VLAN: f.VLAN, SrcPkts: f.SrcPkts, DstPkts: f.DstPkts, SrcBytes: f.SrcBytes, DstBytes: f.DstBytes,
		SrcFlags: f.SrcFlags, DstFlags: f.DstFlags, State: f.State, App: f.App}
}
