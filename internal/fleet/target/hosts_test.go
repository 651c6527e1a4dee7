package target_test

import (
	"net/netip"
	"slices"
	"strings"
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

// TestOwners: what several have is of nobody, and an interface without an
// address of the host's own does not count.
func TestOwners(t *testing.T) {
	t.Parallel()
	x := target.NewIndex()
	at := func(mac string, addresses ...string) fleet.Interface {
		return fleet.Interface{MAC: mac, Addresses: addresses}
	}
	bridge := at("02:42:00:00:00:01", "172.17.0.1/16")
	x.Put("web", &fleet.Facts{Interfaces: []fleet.Interface{
		at("", "127.0.0.1/8"), at("52:54:00:00:00:01", "10.0.0.2/24", "10.0.0.1/24", "fe80::1/64"), at("52:54:00:00:00:01", "10.0.1.1/24", "10.0.0.1/24"),
		bridge, at("7e:00:00:00:00:07"), at("no address", "2001:db8::1/64"),
	}})
	x.Put("db", &fleet.Facts{Interfaces: []fleet.Interface{at("52:54:00:00:00:02", "10.0.0.3/24"), bridge, at("00:00:00:00:00:00", "10.9.0.1/24")}})
	x.Put("copy", &fleet.Facts{Interfaces: []fleet.Interface{at("52:54:00:00:00:02", "10.0.0.4/24")}})
	x.Put("nothing", &fleet.Facts{Interfaces: []fleet.Interface{bridge}})
	x.Put("unknown", nil)
	addrs := func(all ...string) (out []netip.Addr) {
		for _, a := range all {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	want := []fleet.HostAddresses{
		{ID: "copy", Addresses: addrs("10.0.0.4"), MACs: [][6]byte{}},
		{ID: "db", Addresses: addrs("10.0.0.3", "10.9.0.1"), MACs: [][6]byte{}},
		{ID: "web", Addresses: addrs("10.0.0.1", "10.0.0.2", "10.0.1.1", "2001:db8::1"), MACs: [][6]byte{{0x52, 0x54, 0, 0, 0, 1}}},
	}
	got := x.Owners()
	slices.SortFunc(got, func(a, b fleet.HostAddresses) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
