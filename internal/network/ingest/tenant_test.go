package ingest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// TestReportsAreRefusedByTenant refuses what is older than the tenant of the
// tap keeps rows for, says so, and takes it for a tenant that keeps them.
func TestReportsAreRefusedByTenant(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		keep := store.DefaultRetention()
		keep.Flows = 72 * time.Hour
		keep.Tenants = []store.Tenant{{Tenant: "brief", Keep: 24 * time.Hour}, {Tenant: "long", Keep: 240 * time.Hour}}
		svc := r.instance(Config{MaxAge: keep.LongestFlows(), MaxAgeOf: keep.FlowsOf})
		sequence := uint64(0)
		send := func(age time.Duration) (int, string) {
			sequence++
			rep := r.report("a", sequence)
			rep.Start, rep.End = rep.Start.Add(-age), rep.End.Add(-age)
			for i := range rep.Flows {
				rep.Flows[i].Start, rep.Flows[i].End = rep.Flows[i].Start.Add(-age), rep.Flows[i].End.Add(-age)
			}
			return post(t, svc, request(r.token, bytes.NewReader(encode(t, rep))))
		}
		for _, tc := range []struct {
			tenant string
			age    time.Duration
			status int
			text   string
		}{
			{"default", 48 * time.Hour, 200, ""},
			{"default", 96 * time.Hour, 422, "kept for 72h0m0s only"},
			{"brief", 12 * time.Hour, 200, ""},
			{"brief", 48 * time.Hour, 422, "the tenant brief are kept for 24h0m0s only"},
			{"long", 96 * time.Hour, 200, ""},
			{"long", 300 * time.Hour, 422, "kept for 240h0m0s only"},
		} {
			if err := svc.GiveTap(t.Context(), "a", tc.tenant); err != nil {
				t.Fatal(err)
			}
			if status, text := send(tc.age); status != tc.status || !strings.Contains(text, tc.text) {
				t.Errorf("%s of %s ago is answered %d %s, want %d with %q", tc.tenant, tc.age, status, text, tc.status, tc.text)
			}
		}
	})
}

// TestTenantsOfTaps gives taps to tenants, lists them by tenant, and refuses
// what names none.
func TestTenantsOfTaps(t *testing.T) {
	each(t, func(t *testing.T, r *rig) { // the tap a is there
		for _, tap := range []string{"b", "c", "d"} {
			if _, err := r.svc.AddTap(t.Context(), tap, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, tap := range []string{"b", "d"} {
			if err := r.svc.GiveTap(t.Context(), tap, "acme"); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.svc.RevokeTap(t.Context(), "d"); err != nil { // its rows are there still
			t.Fatal(err)
		}
		owners, err := r.svc.Owners(t.Context())
		if diff := cmp.Diff(store.Owners{"default": {"a", "c"}, "acme": {"b", "d"}}, owners); err != nil || diff != "" {
			t.Errorf("%v, (-want +got):\n%s", err, diff)
		}
		for tenant, want := range map[string]string{"": "abcd", "acme": "bd", "default": "ac", "nobody": "", "a\x00b": ""} {
			got := ""
			for after := network.TapID(""); ; {
				page, err := r.svc.TapPage(t.Context(), tenant, after, 1)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				after = page[0].Name
				got += string(after)
				if tenant != "" && page[0].Tenant != tenant {
					t.Errorf("%s is of %s", after, page[0].Tenant)
				}
			}
			if got != want {
				t.Errorf("%q has the taps %q, want %q", tenant, got, want)
			}
		}
		for _, name := range []string{"", "A", "a b", "a/b", strings.Repeat("a", 64), "a\x00"} {
			if err := r.svc.GiveTap(t.Context(), "a", name); !errs.Is(err, errs.Invalid) {
				t.Errorf("the tenant %q: %v", name, err)
			}
		}
		if err := r.svc.GiveTap(t.Context(), "nobody", "acme"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a tap that is not there: %v", err)
		}
	})
}

// TestTapIsMadeOfTenant makes taps of a tenant in one go: none is anybody
// else's for a moment. A tap that comes back is whose it was, unless it is given
// to another.
func TestTapIsMadeOfTenant(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		svc := r.instance(Config{})
		for _, tc := range []struct{ tenant, want string }{{"acme", "acme"}, {"", "acme"}, {"other", "other"}} {
			if _, err := svc.AddTapOf(t.Context(), tc.tenant, "shop", 0); err != nil {
				t.Fatal(err)
			}
			owners, err := svc.Owners(t.Context())
			if err != nil || !slices.Contains(owners[tc.want], "shop") {
				t.Errorf("made of %q it is not of %q: %v %v", tc.tenant, tc.want, owners, err)
			}
			if _, err := svc.AddTapOf(t.Context(), "thief", "shop", 0); !errs.Is(err, errs.Conflict) {
				t.Errorf("a tap that is there is made again: %v", err)
			}
			if err := svc.RevokeTap(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := svc.AddTapOf(t.Context(), "No Name", "attic", 0); !errs.Is(err, errs.Invalid) {
			t.Errorf("a tenant without a name: %v", err)
		}
		taps, err := svc.Taps(t.Context())
		if err != nil || slices.ContainsFunc(taps, func(x TapInfo) bool { return x.Name == "attic" }) {
			t.Errorf("a tap was made though its tenant has no name: %+v %v", taps, err)
		}
	})
}
