package server

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
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
	eventually(t, time.Minute, "the node knows the host's address", func() bool { return r.whose("walker", addr) == "web-01" })
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

// metrics is what a server tells Prometheus.
func (r *running) metrics(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token(t, access.Viewer))
	return r.send(t, req).body
}

// TestNodesOfTheirOwnNameManagedHosts has master and node in servers of their
// own, which share a database: the node names the host in flows as soon as the
// master has told of it, at once after a restart, and no more when the host's
// enrollment is revoked.
func TestNodesOfTheirOwnNameManagedHosts(t *testing.T) {
	t.Parallel()
	addr := ownAddress(t)
	where := databasetest.URL(t, database.PostgreSQL)
	masters, nodes := testConfig(dataDir(t)), testConfig(dataDir(t))
	masters.Roles, masters.Database.URL = []string{RoleBus, RoleMaster}, where
	nodes.Roles, nodes.Database.URL = []string{RoleNode}, where
	m, n := start(t, masters), start(t, nodes)
	if name := n.whose("walker", addr); name != "" {
		t.Fatalf("before anybody is enrolled the node says %q", name)
	}
	p, _ := agent(t, m.enroll(t, "web-01"))
	eventually(t, 2*time.Minute, "the node knows the host's address", func() bool { return n.whose("walker", addr) == "web-01" })

	token := n.addTap(t, "walker")
	sequence := uint64(0)
	flow := func(by *running) (listed string) {
		t.Helper()
		sequence++
		rep := reporttest.New(sequence, network.Identity{Tap: "walker", Boot: reporttest.Boot(1), Sequence: sequence}, time.Now(), reporttest.Size{Flows: 1})
		rep.Flows[0].Source, rep.Flows[0].Dest = netip.MustParseAddr("192.0.2.7"), addr
		rep.Flows[0].DstPort = uint16(sequence)
		by.commit(t, token, rep)
		var out struct{ Flows []json.RawMessage }
		by.call(t, by.token(t, access.Viewer), http.MethodGet, "/flows?port="+strconv.FormatUint(sequence, 10), nil, &out)
		if len(out.Flows) != 1 {
			t.Fatalf("of the flow to port %d there are %s", sequence, out.Flows)
		}
		return string(out.Flows[0])
	}
	if got := flow(n); !strings.Contains(got, `"dst_name":"web-01"`) {
		t.Errorf("the node's flow is %s", got)
	}
	if got := n.metrics(t); !strings.Contains(got, "\nrind_managed_addresses ") || strings.Contains(got, "\nrind_managed_addresses 0") || strings.Contains(got, "\nrind_managed_read_timestamp_seconds 0") {
		t.Error("the node's metrics do not tell of managed hosts")
	}
	if got := m.metrics(t); !strings.Contains(got, "\nrind_managed_writing 1") || !strings.Contains(got, "\nrind_managed_rows_written_total{change=\"changed\"} ") {
		t.Error("the master's metrics do not tell of the row that it wrote")
	}
	if err := unused(t.Context(), n.db); err == nil {
		t.Error("`rind database move` does not notice the servers")
	}

	stop(t, n.Server)
	if err := unused(t.Context(), m.db); err == nil || !strings.Contains(err.Error(), "servers use this database") {
		t.Errorf("`rind database move` does not notice a master without the role node: %v", err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	again := start(t, nodes)
	if got := flow(again); !strings.Contains(got, `"dst_name":"web-01"`) { // at once: it has read before it takes reports
		t.Errorf("after a restart the node's flow is %s", got)
	}
	if err := m.registrar.Revoke(t.Context(), "web-01", "test"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Minute, "the node knows that the host is managed no more", func() bool { return again.whose("walker", addr) == "" })
	if got := flow(again); strings.Contains(got, "web-01") {
		t.Errorf("of a host that is managed no more the flow is %s", got)
	}
}
