package tap

import (
	"net/netip"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// join puts reports over the same time into one, with one row for what several
// of them say alike. A report of no pipeline at all is empty and still says that
// the tap lives.
func join(parts []network.Report) *network.Report {
	if len(parts) == 1 {
		return &parts[0]
	}
	r := &network.Report{}
	for i := range parts {
		p := &parts[i]
		if r.Start.IsZero() || p.Start.Before(r.Start) {
			r.Start = p.Start
		}
		if p.End.After(r.End) {
			r.End = p.End
		}
		r.Seed = p.Seed
		r.Health.FlowsActive += p.Health.FlowsActive
		r.Health.FlowsMax += p.Health.FlowsMax
		r.Health.AddParsers(p.Health.Parsers)
		r.Interfaces = append(r.Interfaces, p.Interfaces...)
		r.Flows = append(r.Flows, p.Flows...)
		r.DNS = append(r.DNS, p.DNS...)
		r.TLS = append(r.TLS, p.TLS...)
		record.Append(&r.Records, &p.Records)
	}
	mergeRecords(&r.Records)
	return r
}

// mergeWorkers makes one report of those of the workers of an interface: one
// ledger, which is the sum, and one flow for what several of them saw of it.
// The kernel sends both directions of a flow to one worker, but not its
// fragments, which it spreads by address, nor always the two directions of
// what is in a tunnel, which it spreads by the outer header.
func mergeWorkers(parts []network.Report) network.Report {
	if len(parts) == 1 {
		return parts[0]
	}
	counts := make([]int, len(parts))
	for i := range parts {
		counts[i] = len(parts[i].Flows)
	}
	r := join(parts)
	if len(r.Interfaces) > 1 {
		sum := r.Interfaces[0]
		for _, l := range r.Interfaces[1:] {
			add(&sum, l)
		}
		r.Interfaces = []network.Ledger{sum}
	}
	r.Flows = mergeFlows(r.Flows, counts)
	return *r
}

func add(sum *network.Ledger, l network.Ledger) {
	sum.Received += l.Received
	sum.Summarised += l.Summarised
	sum.DroppedKernel += l.DroppedKernel
	sum.DroppedPipeline += l.DroppedPipeline
	sum.Malformed += l.Malformed
	sum.HeldFragments += l.HeldFragments
	sum.ReleasedFragments += l.ReleasedFragments
	sum.Bytes += l.Bytes
}

// wireKey is what makes two flows one, whoever opened it.
type wireKey struct {
	a, b            netip.AddrPort
	proto           network.Proto
	vlan, innerVLAN uint16
	tunnel          network.Tunnel
	tunnelID        uint32
}

func keyOf(f *network.Flow) wireKey {
	a, b := netip.AddrPortFrom(f.Source, f.SrcPort), netip.AddrPortFrom(f.Dest, f.DstPort)
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return wireKey{a, b, f.Proto, f.VLAN, f.InnerVLAN, f.Tunnel, f.TunnelID}
}

// mergeFlows merges flows with equal keys of different workers, in place;
// counts says how many are of each worker, in order. Flows of one worker with
// the same key, of which one began after the other had ended, stay two.
func mergeFlows(flows []network.Flow, counts []int) []network.Flow {
	type place struct{ at, worker int }
	seen := make(map[wireKey]place, len(flows))
	kept := flows[:0]
	i := 0
	for worker, n := range counts {
		for range n {
			f := flows[i]
			i++
			key := keyOf(&f)
			if p, ok := seen[key]; ok && p.worker != worker {
				mergeFlow(&kept[p.at], f)
				continue
			}
			seen[key] = place{len(kept), worker}
			kept = append(kept, f)
		}
	}
	clear(flows[len(kept):])
	return kept
}

// mergeFlow adds g to f. Who opened it is taken from the one that saw more of
// the opening: a SYN, else the earlier packet.
func mergeFlow(f *network.Flow, g network.Flow) {
	opened := func(x *network.Flow) bool { return x.State >= network.TCPSynSent }
	if opened(&g) && !opened(f) || opened(&g) == opened(f) && g.Start.Before(f.Start) {
		*f, g = g, *f
	}
	if f.Source != g.Source || f.SrcPort != g.SrcPort {
		g = turned(g)
	}
	if g.Start.Before(f.Start) {
		f.Start = g.Start
	}
	if g.End.After(f.End) {
		f.End = g.End
	}
	f.SrcPkts, f.DstPkts = f.SrcPkts+g.SrcPkts, f.DstPkts+g.DstPkts
	f.SrcBytes, f.DstBytes = f.SrcBytes+g.SrcBytes, f.DstBytes+g.DstBytes
	f.SrcFlags, f.DstFlags = f.SrcFlags|g.SrcFlags, f.DstFlags|g.DstFlags
	f.SrcRetrans, f.DstRetrans = f.SrcRetrans+g.SrcRetrans, f.DstRetrans+g.DstRetrans
	f.SrcZeroWin, f.DstZeroWin = f.SrcZeroWin+g.SrcZeroWin, f.DstZeroWin+g.DstZeroWin
	f.State = max(f.State, g.State)
	f.Ended = f.Ended && g.Ended
	first(&f.SrcMAC, g.SrcMAC)
	first(&f.DstMAC, g.DstMAC)
	first(&f.SrcTTL, g.SrcTTL)
	first(&f.DstTTL, g.DstTTL)
	first(&f.ClientRTT, g.ClientRTT)
	first(&f.ServerRTT, g.ServerRTT)
	first(&f.App, g.App)
	first(&f.Fingerprint, g.Fingerprint)
}

// first takes the other value where there is none.
func first[T comparable](into *T, other T) {
	var none T
	if *into == none {
		*into = other
	}
}

// turned is the flow as seen from the other side.
func turned(f network.Flow) network.Flow {
	f.Source, f.Dest = f.Dest, f.Source
	f.SrcPort, f.DstPort = f.DstPort, f.SrcPort
	f.SrcMAC, f.DstMAC = f.DstMAC, f.SrcMAC
	f.SrcPkts, f.DstPkts = f.DstPkts, f.SrcPkts
	f.SrcBytes, f.DstBytes = f.DstBytes, f.SrcBytes
	f.SrcFlags, f.DstFlags = f.DstFlags, f.SrcFlags
	f.SrcTTL, f.DstTTL = f.DstTTL, f.SrcTTL
	f.ClientRTT, f.ServerRTT = f.ServerRTT, f.ClientRTT
	f.SrcRetrans, f.DstRetrans = f.DstRetrans, f.SrcRetrans
	f.SrcZeroWin, f.DstZeroWin = f.DstZeroWin, f.SrcZeroWin
	return f
}
