package target_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// TestHosts follows whose addresses are while peels come, move and go.
func TestHosts(t *testing.T) {
	t.Parallel()
	x := target.NewIndex()
	put := func(id fleet.PeelID, addresses ...string) {
		x.Put(id, &fleet.Facts{Interfaces: []fleet.Interface{{Name: "lo", Addresses: []string{"127.0.0.1/8", "::1/128"}}, {Name: "eth0", Addresses: addresses}}})
	}
	want := func(when string, hosts map[string]fleet.PeelID) {
		t.Helper()
		got := map[string]fleet.PeelID{}
		for addr, id := range x.Hosts() {
			got[addr.String()] = id
		}
		if diff := cmp.Diff(hosts, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("nobody is there", map[string]fleet.PeelID{})
	put("web", "10.0.0.1/24", "fe80::1/64", "2001:db8::1/64", "172.17.0.1/16")
	put("db", "10.0.0.2/24", "172.17.0.1/16", "169.254.1.1/16")
	want("two have a bridge of the same address", map[string]fleet.PeelID{"10.0.0.1": "web", "2001:db8::1": "web", "10.0.0.2": "db"})
	put("db", "10.0.0.3/24")
	want("one has moved", map[string]fleet.PeelID{"10.0.0.1": "web", "2001:db8::1": "web", "172.17.0.1": "web", "10.0.0.3": "db"})
	if got := x.Hosts()[netip.MustParseAddr("10.0.0.3")]; got != "db" {
		t.Errorf("10.0.0.3 is of %q", got)
	}
	x.Remove("web")
	want("one has gone", map[string]fleet.PeelID{"10.0.0.3": "db"})
}
