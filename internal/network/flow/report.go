package flow

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// Report visits every flow that had packets since the report before, with what
// it counted since then, and ends the flows that have been silent for too
// long by now. The flow is reused between visits; what visit keeps it copies.
//
// A flow is Ended when its connection is over, or it was idle for its
// time-out, or the full table pushed it out. One that falls silent after its
// last report simply never comes again, and stragglers of an ended connection
// may still come, as a flow that has ended too.
func (t *Table) Report(now time.Time, visit func(*network.Flow)) {
	t.report(now.UnixNano(), false, visit)
}

// Finish is the last Report: every flow ends.
func (t *Table) Finish(visit func(*network.Flow)) { t.report(0, true, visit) }

func (t *Table) report(now int64, finish bool, visit func(*network.Flow)) {
	var f network.Flow
	for i := range t.spill {
		r := &t.spill[i]
		r.fill(&f)
		f.Ended = true
		visit(&f)
	}
	t.spill, t.stuck = t.spill[:0], false
	for i := range t.high {
		r := &t.slab[i]
		if r.bits&used == 0 {
			continue
		}
		ended := finish || now-r.last >= t.timeout(r)
		if r.pkts[0]|r.pkts[1] != 0 {
			r.fill(&f)
			f.Ended = ended || f.State >= network.TCPClosed
			visit(&f)
			r.pkts, r.bytes, r.flags = [2]uint64{}, [2]uint64{}, [2]uint8{}
		}
		if ended {
			t.remove(i)
		}
	}
}

func (t *Table) timeout(r *Record) int64 {
	d := t.cfg.Timeouts.Other
	switch network.Proto(r.proto()) {
	case network.UDP:
		d = t.cfg.Timeouts.UDP
	case network.TCP:
		switch s := network.TCPState(r.state); {
		case s >= network.TCPClosed:
			d = t.cfg.Timeouts.Closed
		case s >= network.TCPEstablished:
			d = t.cfg.Timeouts.TCP
		}
	}
	return int64(d)
}

// fill writes the record into f, source first.
func (r *Record) fill(f *network.Flow) {
	s := r.Source()
	d := 1 - s
	p0, p1 := r.Ports()
	ports := [2]uint16{p0, p1}
	*f = network.Flow{
		Start: time.Unix(0, r.first).UTC(), End: time.Unix(0, r.last).UTC(),
		Source: r.Addr(s), Dest: r.Addr(d), SrcPort: ports[s], DstPort: ports[d],
		Proto: network.Proto(r.proto()),
		VLAN:  uint16(r.key[4]>>12) & 0xfff, InnerVLAN: uint16(r.key[4]) & 0xfff,
		SrcMAC: r.mac[s], DstMAC: r.mac[d],
		SrcPkts: r.pkts[s], DstPkts: r.pkts[d], SrcBytes: r.bytes[s], DstBytes: r.bytes[d],
		SrcFlags: r.flags[s], DstFlags: r.flags[d], State: network.TCPState(r.state),
	}
	f.App = AppName(r.App)
	if r.App == AppUnknown {
		f.App = portApp(f.Proto, f.SrcPort, f.DstPort)
	}
}

// Addr returns the address of a side.
func (r *Record) Addr(side int) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.key[2*side])
	binary.BigEndian.PutUint64(b[8:], r.key[2*side+1])
	return netip.AddrFrom16(b).Unmap()
}
