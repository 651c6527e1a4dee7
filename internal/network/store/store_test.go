package store

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

var same = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func each(t *testing.T, fn func(t *testing.T, s *Store, put func(...*network.Report))) {
	t.Parallel()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		s := New(db, func() time.Time { return noon })
		fn(t, s, func(reports ...*network.Report) {
			t.Helper()
			for _, r := range reports {
				if err := db.Tx(t.Context(), func(tx *database.Tx) error { return s.Insert(t.Context(), tx, r) }); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

func report(tap network.TapID, seq uint64, end time.Time, size reporttest.Size) *network.Report {
	return reporttest.New(seq, network.Identity{Tap: tap, Boot: reporttest.Boot(1), Sequence: seq}, end, size)
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestListsGiveBackWhatWasPut reads everything in pages and compares it with
// the reports, row by row and field by field.
func TestListsGiveBackWhatWasPut(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		a := report("a", 1, noon, reporttest.Size{Flows: 257, DNS: 83, TLS: 41})
		b := report("b", 2, noon.Add(-5*time.Second), reporttest.Size{Flows: 130, DNS: 20, TLS: 30})
		b.Flows[0].Source, b.DNS[0].Server = netip.Addr{}, netip.Addr{}
		put(a, b)

		var flows []network.Flow
		page := FlowQuery{Limit: 50}
		for {
			got := must(s.Flows(t.Context(), page))(t)
			if len(got) == 0 {
				break
			}
			for _, f := range got {
				if f.CommunityID == "" && f.Source.IsValid() {
					t.Fatalf("flow %+v has no Community ID", f)
				}
				flows = append(flows, f.Flow)
			}
			page.Before = got[len(got)-1].Cursor()
		}
		compare(t, append(slices.Clone(a.Flows), b.Flows...), flows, func(f network.Flow) time.Time { return f.Start })

		var queries []network.DNSQuery
		for q := (DNSQuery{Limit: 30}); ; {
			got := must(s.DNS(t.Context(), q))(t)
			if len(got) == 0 {
				break
			}
			for _, d := range got {
				queries = append(queries, d.DNSQuery)
			}
			q.Before = got[len(got)-1].Cursor()
		}
		compare(t, append(slices.Clone(a.DNS), b.DNS...), queries, func(q network.DNSQuery) time.Time { return q.Time })

		var hellos []network.TLSHello
		for _, h := range must(s.TLS(t.Context(), TLSQuery{Limit: MaxRows}))(t) {
			hellos = append(hellos, h.TLSHello)
		}
		compare(t, append(slices.Clone(a.TLS), b.TLS...), hellos, func(h network.TLSHello) time.Time { return h.Time })

		ledgers := must(s.Ledgers(t.Context(), LedgerQuery{Tap: "a"}))(t)
		if len(ledgers) != 1 || ledgers[0].Ledger != a.Interfaces[0] || !ledgers[0].Balanced() || ledgers[0].Sequence != 1 || !ledgers[0].End.Equal(a.End) {
			t.Errorf("ledgers of a are %+v", ledgers)
		}
	})
}

// compare compares rows without regard to the order of those with one time,
// and checks that they run from new to old.
func compare[T any](t *testing.T, want, got []T, at func(T) time.Time) {
	t.Helper()
	if !slices.IsSortedFunc(got, func(a, b T) int { return at(b).Compare(at(a)) }) {
		t.Errorf("%T are not sorted from new to old", got)
	}
	order := func(a, b T) int { return at(a).Compare(at(b)) }
	slices.SortStableFunc(want, order)
	slices.SortStableFunc(got, order)
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("%T (-want +got):\n%.3000s", got, diff)
	}
}

// TestFlowFilters checks each filter against the same filter in Go.
func TestFlowFilters(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		a := report("a", 1, noon, reporttest.Size{Flows: 400})
		b := report("b", 2, noon.Add(-2*time.Hour), reporttest.Size{Flows: 100})
		put(a, b)
		in := func(p string) func(network.TapID, network.Flow) bool {
			return func(_ network.TapID, f network.Flow) bool {
				return netip.MustParsePrefix(p).Contains(f.Source) || netip.MustParsePrefix(p).Contains(f.Dest)
			}
		}
		one := netip.PrefixFrom(a.Flows[7].Dest, 32).String()
		all := FlowQuery{From: noon.Add(-3 * time.Hour), Limit: MaxRows}
		tests := []struct {
			name string
			with func(q *FlowQuery)
			keep func(network.TapID, network.Flow) bool
		}{
			{"everything", func(*FlowQuery) {}, func(network.TapID, network.Flow) bool { return true }},
			{"the last hour by default", func(q *FlowQuery) { q.From = time.Time{} }, func(tap network.TapID, _ network.Flow) bool { return tap == "a" }},
			{"tap", func(q *FlowQuery) { q.Tap = "b" }, func(tap network.TapID, _ network.Flow) bool { return tap == "b" }},
			{"IPv4 subnet", func(q *FlowQuery) { q.Addr = netip.MustParsePrefix("10.1.0.0/16") }, in("10.1.0.0/16")},
			{"all of IPv4", func(q *FlowQuery) { q.Addr = netip.MustParsePrefix("0.0.0.0/0") }, in("0.0.0.0/0")},
			{"IPv6 subnet", func(q *FlowQuery) { q.Addr = netip.MustParsePrefix("2001:db8::/120") }, in("2001:db8::/120")},
			{"one address", func(q *FlowQuery) { q.Addr = netip.MustParsePrefix(one) }, in(one)},
			{"port", func(q *FlowQuery) { q.Port = 53 }, func(_ network.TapID, f network.Flow) bool { return f.DstPort == 53 || f.SrcPort == 53 }},
			{"protocol", func(q *FlowQuery) { q.Proto = network.UDP }, func(_ network.TapID, f network.Flow) bool { return f.Proto == network.UDP }},
			{"application", func(q *FlowQuery) { q.App = "ssh" }, func(_ network.TapID, f network.Flow) bool { return f.App == "ssh" }},
			{"an injection", func(q *FlowQuery) { q.App = "x' OR '1'='1\x00" }, func(network.TapID, network.Flow) bool { return false }},
			{"range", func(q *FlowQuery) { q.From, q.To = noon.Add(-6*time.Second), noon.Add(-4*time.Second) }, func(_ network.TapID, f network.Flow) bool {
				return !f.Start.Before(noon.Add(-6*time.Second)) && f.Start.Before(noon.Add(-4*time.Second))
			}},
		}
		for _, tc := range tests {
			q := all
			tc.with(&q)
			want := 0
			for _, r := range []*network.Report{a, b} {
				for _, f := range r.Flows {
					if tc.keep(r.Tap, f) {
						want++
					}
				}
			}
			got := must(s.Flows(t.Context(), q))(t)
			if len(got) != want {
				t.Errorf("%s: %d flows, want %d", tc.name, len(got), want)
			}
			for _, f := range got {
				if !tc.keep(f.Tap, f.Flow) {
					t.Errorf("%s: it gives %+v", tc.name, f)
					break
				}
			}
		}
		if n := len(must(s.Flows(t.Context(), FlowQuery{}))(t)); n != DefaultRows {
			t.Errorf("without a limit %d rows are given", n)
		}
	})
}

func TestNames(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		ask := func(seq uint64, at time.Time, names ...string) *network.Report {
			r := report("a", seq, at, reporttest.Size{})
			for i, n := range names {
				r.DNS = append(r.DNS, network.DNSQuery{Time: at.Add(time.Duration(i) * time.Second), Name: n})
				r.TLS = append(r.TLS, network.TLSHello{Time: at, SNI: n})
			}
			return r
		}
		early, late := noon.Add(-10*time.Minute), noon.Add(-time.Minute)
		// The later report arrives first, as after an outage of one tap.
		put(ask(1, late, "www.example.com", "a_b.example.com", "100%.org"), ask(2, early, "www.example.com", "axb.example.com", "example.com", "", "www.example.com"))
		for pattern, want := range map[string][]string{
			"www.example.com":   {"www.example.com", "www.example.com", "www.example.com"},
			"WWW.Example.com.":  {"www.example.com", "www.example.com", "www.example.com"},
			".example.com":      {"a_b.example.com", "axb.example.com", "www.example.com", "www.example.com", "www.example.com"},
			"*.example.com":     {"a_b.example.com", "axb.example.com", "www.example.com", "www.example.com", "www.example.com"},
			"a_*":               {"a_b.example.com"},
			"*%*":               {"100%.org"},
			"no.such.name":      nil,
			"x' OR 1=1 --\x00*": nil,
		} {
			var got []string
			for _, d := range must(s.DNS(t.Context(), DNSQuery{Name: pattern}))(t) {
				got = append(got, d.Name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("names like %q (-want +got):\n%s", pattern, diff)
			}
		}
		names := must(s.LatestNames(t.Context(), 3))(t)
		want := []Name{
			{"100%.org", late.Add(2 * time.Second), late.Add(2 * time.Second), 1},
			{"a_b.example.com", late.Add(time.Second), late.Add(time.Second), 1},
			{"www.example.com", early, late, 3},
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("latest names (-want +got):\n%s", diff)
		}
		if servers := must(s.LatestServers(t.Context(), 0))(t); len(servers) != 5 {
			t.Errorf("%d server names, want 5", len(servers))
		}
	})
}

func TestTraffic(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		a := report("a", 1, noon.Add(-3*time.Minute), reporttest.Size{Flows: 300})
		b := report("b", 2, noon.Add(-3*time.Minute), reporttest.Size{Flows: 200})
		c := report("a", 3, noon.Add(-40*time.Minute), reporttest.Size{Flows: 100})
		put(a, b, c)
		var want TrafficPoint
		for _, r := range []*network.Report{a, b, c} {
			for _, f := range r.Flows {
				want.Bytes += int64(f.SrcBytes + f.DstBytes)
				want.Packets += int64(f.SrcPkts + f.DstPkts)
				want.Flows++
			}
		}
		for _, bucket := range []time.Duration{0, time.Second, time.Minute, 7 * time.Minute, time.Hour, 24 * time.Hour} {
			points := must(s.Traffic(t.Context(), noon.Add(-time.Hour), noon, bucket))(t)
			width := max((bucket+time.Minute-1)/time.Minute, 1) * time.Minute
			var got TrafficPoint
			for i, p := range points {
				if i > 0 && p.Time.Sub(points[i-1].Time) != width {
					t.Fatalf("bucket %s: %s follows %s", bucket, p.Time, points[i-1].Time)
				}
				got.Bytes, got.Packets, got.Flows = got.Bytes+p.Bytes, got.Packets+p.Packets, got.Flows+p.Flows
			}
			if got != want {
				t.Errorf("bucket %s: the sum is %+v, want %+v", bucket, got, want)
			}
			if last := points[len(points)-1].Time; last.Add(width).Before(noon) || points[0].Time.After(noon.Add(-time.Hour)) {
				t.Errorf("bucket %s: the points reach from %s to %s", bucket, points[0].Time, last)
			}
		}
		of := must(s.TrafficOf(t.Context(), "b", noon.Add(-time.Hour), noon, time.Hour))(t)
		if n := of[len(of)-1].Flows; n != 200 {
			t.Errorf("tap b has %d flows, want 200", n)
		}
		if _, err := s.Traffic(t.Context(), noon.Add(-365*24*time.Hour), noon, time.Minute); !errs.Is(err, errs.Invalid) {
			t.Errorf("half a million buckets give %v", err)
		}
		if points := must(s.Traffic(t.Context(), noon, noon.Add(-time.Hour), 0))(t); len(points) != 0 {
			t.Errorf("a range that ends before it begins has %d points", len(points))
		}
	})
}

func TestTopTalkers(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		r := report("a", 1, noon, reporttest.Size{Flows: 500})
		put(r, report("a", 2, noon.Add(-2*time.Hour), reporttest.Size{Flows: 50}))
		sums := map[netip.Addr]Talker{}
		for _, f := range r.Flows {
			add := func(addr netip.Addr, in, out uint64) {
				sum := sums[addr]
				sum.Addr = addr
				sum.BytesIn, sum.BytesOut = sum.BytesIn+int64(in), sum.BytesOut+int64(out)
				sum.Packets += int64(f.SrcPkts + f.DstPkts)
				sum.Flows++
				sums[addr] = sum
			}
			add(f.Source, f.DstBytes, f.SrcBytes)
			add(f.Dest, f.SrcBytes, f.DstBytes)
		}
		got := must(s.TopTalkers(t.Context(), time.Time{}, time.Time{}, 20))(t)
		if len(got) != 20 {
			t.Fatalf("%d talkers", len(got))
		}
		least := got[19].BytesIn + got[19].BytesOut
		for _, talker := range got {
			if sums[talker.Addr] != talker {
				t.Errorf("%+v, want %+v", talker, sums[talker.Addr])
			}
			delete(sums, talker.Addr)
		}
		for _, rest := range sums {
			if rest.BytesIn+rest.BytesOut > least {
				t.Errorf("%+v is missing", rest)
			}
		}
	})
}

func TestLossesAndGaps(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		a, b := report("a", 1, noon, reporttest.Size{Flows: 5}), report("a", 2, noon, reporttest.Size{Flows: 9})
		a.Interfaces = append(a.Interfaces, network.Ledger{Interface: "eth1", Received: 10, DroppedKernel: 10})
		b.Gap = &network.Gap{Boot: reporttest.Boot(3), Sequence: 4, From: noon.Add(-time.Hour), To: noon.Add(-time.Minute)}
		put(a, b, report("b", 3, noon, reporttest.Size{}))
		losses := must(s.Losses(t.Context(), time.Time{}, time.Time{}))(t)
		if len(losses) != 2 || losses[0].Tap != "a" || losses[0].Reports != 2 {
			t.Fatalf("losses are %+v", losses)
		}
		var want uint64
		for _, l := range append(slices.Clone(a.Interfaces), b.Interfaces...) {
			want += l.Received
		}
		if l := losses[0]; l.Received != int64(want) || l.Percent() != 100*float64(l.DroppedKernel+l.DroppedPipeline)/float64(want) || l.Percent() == 0 {
			t.Errorf("the loss of a is %+v (%v %%), want %d received", l, l.Percent(), want)
		}
		if diff := cmp.Diff([]Gap{{"a", *b.Gap}}, must(s.Gaps(t.Context(), "a", 0))(t)); diff != "" {
			t.Error(diff)
		}
		if gaps := must(s.Gaps(t.Context(), "b", 0))(t); len(gaps) != 0 {
			t.Errorf("tap b has the gaps %+v", gaps)
		}
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		for day := range 5 {
			put(report("a", uint64(day)+1, noon.Add(-time.Duration(day)*24*time.Hour), reporttest.Size{Flows: 20, DNS: 10, TLS: 5}))
		}
		keep := Retention{Flows: 36 * time.Hour, Ledgers: 60 * time.Hour, Traffic: 84 * time.Hour, Names: 1000 * time.Hour}
		gone, err := s.Delete(t.Context(), keep)
		if err != nil {
			t.Fatal(err)
		}
		if gone["flows"] != 60 || gone["dns_queries"] != 30 || gone["tls_hellos"] != 15 || gone["ledgers"] != 2 || gone["dns_names"] != 0 {
			t.Errorf("gone are %v", gone)
		}
		wide := FlowQuery{From: noon.Add(-1000 * time.Hour), Limit: MaxRows}
		if n := len(must(s.Flows(t.Context(), wide))(t)); n != 40 {
			t.Errorf("%d flows are left, want 40", n)
		}
		if gone, err = s.Delete(t.Context(), keep); err != nil || len(gone) != 0 {
			t.Errorf("the second time %v went (%v)", gone, err)
		}
	})
}

func TestQueryEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		put(report("a", 1, noon, reporttest.Size{Flows: 10}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Flows(ctx, FlowQuery{}); err == nil {
			t.Error("a query without a caller ran")
		}
	})
}
