package tap

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/record"
)

const (
	topFlows    = 10
	summedFlows = 200_000 // of one file, that the top is chosen from
)

// summary writes a table for people after each file.
type summary struct {
	out io.Writer

	path                   string
	ledger                 network.Ledger
	first, last            time.Time
	ended, dns, tls, parts int
	records                map[string]int // by kind
	flows                  map[flowKey]*flowSum
	beyond                 bool // there were more flows than are summed
}

type flowKey struct {
	source, dest     netip.Addr
	srcPort, dstPort uint16
	proto            network.Proto
	vlan             uint16
}

type flowSum struct {
	packets, bytes uint64
	app            string
}

func (s *summary) begin(_ context.Context, path string) error {
	*s = summary{out: s.out, path: path, records: map[string]int{}, flows: map[flowKey]*flowSum{}}
	return nil
}

func (s *summary) report(_ context.Context, r *network.Report) error {
	s.parts++
	s.dns += len(r.DNS)
	s.tls += len(r.TLS)
	for _, k := range record.Kinds() {
		s.records[k.Name] += k.Rows(&r.Records).Len()
	}
	for _, l := range r.Interfaces {
		s.ledger.Received += l.Received
		s.ledger.Summarised += l.Summarised
		s.ledger.DroppedKernel += l.DroppedKernel
		s.ledger.DroppedPipeline += l.DroppedPipeline
		s.ledger.Malformed += l.Malformed
		s.ledger.HeldFragments += l.HeldFragments
		s.ledger.ReleasedFragments += l.ReleasedFragments
		s.ledger.Bytes += l.Bytes
	}
	for i := range r.Flows {
		s.flow(&r.Flows[i])
	}
	return nil
}

func (s *summary) flow(f *network.Flow) {
	if f.Ended {
		s.ended++
	}
	if s.first.IsZero() || f.Start.Before(s.first) {
		s.first = f.Start
	}
	if f.End.After(s.last) {
		s.last = f.End
	}
	key := flowKey{f.Source, f.Dest, f.SrcPort, f.DstPort, f.Proto, f.VLAN}
	sum := s.flows[key]
	if sum == nil {
		if len(s.flows) >= summedFlows {
			s.beyond = true
			return
		}
		sum = new(flowSum)
		s.flows[key] = sum
	}
	sum.packets += f.SrcPkts + f.DstPkts
	sum.bytes += f.SrcBytes + f.DstBytes
	sum.app = cmp.Or(f.App, sum.app)
}

func (s *summary) end(_ context.Context, failure error) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", s.path)
	switch {
	case failure == nil:
	case capture.Damaged(failure):
		fmt.Fprintf(&b, "  damaged: what follows was read before the damage\n")
	default: // stopped, or refused
		fmt.Fprintf(&b, "  not read to its end: what follows was read until then\n")
	}
	if !s.first.IsZero() {
		fmt.Fprintf(&b, "  %s to %s (%s)\n", s.first.UTC().Format(time.RFC3339), s.last.UTC().Format(time.RFC3339), s.last.Sub(s.first).Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "  %d packets, %s, %d flows, %d DNS queries, %d TLS hellos\n", s.ledger.Received, quantity(s.ledger.Bytes), s.ended, s.dns, s.tls)
	if found := s.found(); found != "" {
		fmt.Fprintf(&b, "  records: %s\n", found)
	}
	l := s.ledger
	fmt.Fprintf(&b, "  ledger: received %d = summarised %d + dropped by kernel %d + by pipeline %d + malformed %d + held fragments %d - released %d%s\n",
		l.Received, l.Summarised, l.DroppedKernel, l.DroppedPipeline, l.Malformed, l.HeldFragments, l.ReleasedFragments, balance(l))
	s.table(&b)
	_, err := s.out.Write(b.Bytes())
	return err
}

// found counts the records of the kinds that there are.
func (s *summary) found() string {
	var all []string
	for _, k := range record.Kinds() {
		if n := s.records[k.Name]; n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, k.Name))
		}
	}
	return strings.Join(all, ", ")
}

func balance(l network.Ledger) string {
	if l.Balanced() {
		return ""
	}
	return " DOES NOT ADD UP: this is a defect, please report it"
}

// table writes the flows with the most bytes.
func (s *summary) table(b *bytes.Buffer) {
	keys := slices.SortedFunc(maps.Keys(s.flows), func(x, y flowKey) int {
		return cmp.Or(cmp.Compare(s.flows[y].bytes, s.flows[x].bytes), x.source.Compare(y.source), x.dest.Compare(y.dest),
			cmp.Compare(x.srcPort, y.srcPort), cmp.Compare(x.dstPort, y.dstPort), cmp.Compare(x.proto, y.proto))
	})
	if len(keys) == 0 {
		b.WriteByte('\n')
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  SOURCE\tDEST\tPROTO\tAPP\tPACKETS\tBYTES")
	for _, k := range keys[:min(topFlows, len(keys))] {
		sum := s.flows[k]
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%d\t%s\n", endpoint(k.source, k.srcPort, k.proto), endpoint(k.dest, k.dstPort, k.proto),
			k.proto.String(), cmp.Or(sum.app, "-"), sum.packets, quantity(sum.bytes))
	}
	_ = w.Flush() // into a buffer
	if s.beyond {
		fmt.Fprintf(b, "  (chosen from the first %d flows)\n", summedFlows)
	}
	b.WriteByte('\n')
}

func (s *summary) close() error { return nil }

func endpoint(a netip.Addr, port uint16, proto network.Proto) string {
	if proto == network.TCP || proto == network.UDP {
		return netip.AddrPortFrom(a, port).String()
	}
	return a.String()
}

// quantity writes a number of bytes with a binary unit.
func quantity(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 4 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[unit])
}
