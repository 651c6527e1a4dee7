package server

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// ownAddress is one of this machine's that others can reach.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	t.Skip("skipped: this machine has no address but those of the loopback")
	return netip.Addr{}
}

// TestFlowsNameManagedHosts joins the planes: a flow of an address that a peel
// told of among its facts has the peel's name.
func TestFlowsNameManagedHosts(t *testing.T) {
	t.Parallel()
	addr := ownAddress(t)
	r := start(t, testConfig(dataDir(t)))
	agent(t, r.enroll(t, "web-01"))
	eventually(t, time.Minute, "the node knows the host's address", func() bool { return r.hosts.name("walker", addr) == "web-01" })
	token := r.addTap(t, "walker")
	rep := reporttest.New(1, network.Identity{Tap: "walker", Boot: reporttest.Boot(1), Sequence: 1}, time.Now(), reporttest.Size{Flows: 1})
	rep.Flows[0].Source, rep.Flows[0].Dest = addr, netip.MustParseAddr("192.0.2.7")
	r.commit(t, token, rep)
	var out struct{ Flows []json.RawMessage }
	r.call(t, r.token(t, access.Viewer), http.MethodGet, "/flows?name=web-01", nil, &out)
	if len(out.Flows) != 1 || !strings.Contains(string(out.Flows[0]), `"src_name":"web-01"`) {
		t.Errorf("by the host's name there are %s", out.Flows)
	}
}
