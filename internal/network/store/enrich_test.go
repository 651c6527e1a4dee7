package store

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// knows is an enricher of a test: it knows one address, once it has seen a
// report.
type knows struct {
	addr    netip.Addr
	learned *int
}

func (k knows) Learn(*network.Report) { *k.learned++ }

func (k knows) Flow(tap network.TapID, f *network.Flow) (e Enrichment) {
	if tap != "a" || *k.learned == 0 {
		return e
	}
	if f.Source == k.addr {
		e.SrcCountry, e.SrcAS, e.SrcName = "DE", 4_200_000_000, "www.example.de"
	}
	if f.Dest == k.addr {
		e.DstCountry, e.DstAS, e.DstName = "DE", 4_200_000_000, "\x00.example.de" // PostgreSQL takes no NUL
	}
	return e
}

func (k knows) Vendor(mac [6]byte) string {
	if mac == [6]byte{1} {
		return "Acme"
	}
	return ""
}

func (k knows) Org(addr netip.Addr) string {
	if addr == k.addr {
		return "Example Net"
	}
	return ""
}

func TestEnrichment(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		addr := netip.MustParseAddr("203.0.114.9")
		old := report("a", 1, noon.Add(-1), reporttest.Size{Flows: 1}) // from before anything was known
		put(old)
		learned := 0
		s.Enrich(knows{addr, &learned})
		r := report("a", 2, noon, reporttest.Size{Flows: 3})
		r.Flows[0].Source, r.Flows[0].Dest = addr, netip.MustParseAddr("10.0.0.1")
		r.Flows[1].Source, r.Flows[1].Dest, r.Flows[1].SrcMAC = netip.MustParseAddr("10.0.0.1"), addr, [6]byte{1}
		put(r)
		if learned != 1 {
			t.Errorf("the report was looked at %d times", learned)
		}
		var got []Enrichment
		about := map[string]bool{}
		for _, f := range must(s.Flows(t.Context(), FlowQuery{}))(t) {
			if f.Enrichment != (Enrichment{}) {
				got = append(got, f.Enrichment)
			}
			about[f.AboutSource()], about[f.AboutDest()] = true, true
		}
		want := []Enrichment{{SrcCountry: "DE", SrcAS: 4_200_000_000, SrcName: "www.example.de"}, {DstCountry: "DE", DstAS: 4_200_000_000, DstName: "\ufffd.example.de"}}
		if len(got) == 2 && got[0].SrcCountry == "" {
			got[0], got[1] = got[1], got[0]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for _, text := range []string{"www.example.de, DE, AS4200000000 Example Net", "Acme", ""} {
			if !about[text] {
				t.Errorf("%q is not said of any flow: %v", text, about)
			}
		}
		for name, tc := range map[string]struct {
			q    FlowQuery
			want int
		}{
			"everything":            {FlowQuery{}, 4},
			"a country":             {FlowQuery{Country: "de"}, 2},
			"another country":       {FlowQuery{Country: "FR"}, 0},
			"a system":              {FlowQuery{AS: 4_200_000_000}, 2},
			"another system":        {FlowQuery{AS: 1}, 0},
			"a name":                {FlowQuery{Name: "WWW.example.de."}, 1},
			"names below":           {FlowQuery{Name: "*.example.de"}, 2},
			"names below, by a dot": {FlowQuery{Name: ".de"}, 2},
			"another name":          {FlowQuery{Name: "example.de"}, 0},
			"a wildcard is none":    {FlowQuery{Name: "ww_.example.de"}, 0},
			"both":                  {FlowQuery{Country: "DE", Name: "nobody.example"}, 0},
		} {
			if got := must(s.Flows(t.Context(), tc.q))(t); len(got) != tc.want {
				t.Errorf("%s: %d flows, want %d", name, len(got), tc.want)
			}
		}
	})
}

// A record tells the vendor of its first hardware address.
func TestVendorOfRecords(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		learned := 0
		s.Enrich(knows{netip.MustParseAddr("203.0.114.9"), &learned})
		r := report("a", 1, noon, reporttest.Size{Records: 2})
		k, ok := FindKind("neighbors")
		if !ok || k.Vendor() == nil || k.Vendor().Name != "mac" {
			t.Fatalf("the kind of neighbors: %v, %+v", ok, k.Vendor())
		}
		rows := k.Rows(&r.Records)
		*record.At[network.MAC](rows.Row(0), k.Vendor()) = network.MAC{1}
		put(r)
		vendors := map[string]int{}
		for _, n := range must(s.Records(t.Context(), RecordQuery{Kind: "neighbors"}))(t) {
			vendors[n.Vendor]++
			text := string(must(json.Marshal(n))(t))
			if strings.Contains(text, `"vendor":"Acme"`) != (n.Vendor == "Acme") {
				t.Error(text)
			}
		}
		if vendors["Acme"] != 1 || len(vendors) != 2 {
			t.Errorf("the vendors are %v", vendors)
		}
	})
}
