package flow

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// Report visits every flow that had packets since the report before, with what
// it counted since then, and ends the flows that have been silent, or have
// lasted, for too long by now. The flow is reused between visits; what visit keeps it copies.
//
// A flow is Ended when its connection is over, it was idle for its time-out,
// it has lasted for the active time-out, or the full table pushed it out. One that falls silent after its
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
		t.fill(r, &f)
		f.Ended = true
		visit(&f)
	}
	t.spill, t.stuck = t.spill[:0], false
	for i := range t.high {
		r := &t.slab[i]
		if r.bits&used == 0 {
			continue
		}
		idle := finish || now-r.last >= t.timeout(r)
		old := now-r.opened >= int64(t.cfg.Timeouts.Active)
		if r.pkts[0]|r.pkts[1] != 0 {
			t.fill(r, &f)
			f.Ended = idle || old || f.State >= network.TCPClosed
			visit(&f)
			r.reported()
		}
		if idle {
			t.remove(i)
		} else if old {
			r.renew()
		}
	}
	t.prints.clear()
}

// reported begins to count anew for the next report.
func (r *Record) reported() {
	r.pkts, r.bytes, r.flags = [2]uint64{}, [2]uint64{}, [2]uint8{}
	r.retrans, r.zero, r.rtt, r.print = [2]uint32{}, [2]uint32{}, [2]uint32{}, 0
}

// renew makes a flow that has lasted too long the next one: it begins with
// its next packet, and keeps its direction, its state and its parser.
func (r *Record) renew() {
	r.opened, r.mark, r.holeAt, r.hole = 0, 0, 0, [2]hole{}
	r.bits &^= synSeen | synAckSeen
	r.ttl = [2]uint8{}
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
func (t *Table) fill(r *Record, f *network.Flow) {
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
		Tunnel: network.Tunnel(r.key[5] >> 32), TunnelID: uint32(r.key[5]),
		SrcTTL: r.ttl[s], DstTTL: r.ttl[d], ClientRTT: micros(r.rtt[s]), ServerRTT: micros(r.rtt[d]),
		SrcRetrans: r.retrans[s], DstRetrans: r.retrans[d], SrcZeroWin: r.zero[s], DstZeroWin: r.zero[d],
		Fingerprint: t.prints.texts[r.print],
	}
	f.App = AppName(r.App)
	if r.App == AppUnknown {
		f.App = portApp(f.Proto, f.SrcPort, f.DstPort)
	}
}

func micros(us uint32) time.Duration { return time.Duration(us) * time.Microsecond }

// Addr returns the address of a side.
func (r *Record) Addr(side int) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.key[2*side])
	binary.BigEndian.PutUint64(b[8:], r.key[2*side+1])
	return netip.AddrFrom16(b).Unmap()
}
