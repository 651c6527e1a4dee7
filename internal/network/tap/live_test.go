package tap

import (
	"net"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
)

// TestTapLive captures on loopback, where this process may, and finds its own
// datagrams in the report, counted exactly.
func TestTapLive(t *testing.T) {
	t.Parallel()
	src, err := capture.OpenLive("lo", capture.LiveConfig{})
	if err != nil {
		t.Skipf("this process may not capture on lo: %v", err)
	}
	src.Close()
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("lo")
	tap := New(cfg, Deps{Version: "v1"})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the interface is open", func() bool { return tap.stations[0].trouble() == nil })
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const datagrams, size = 500, 200
	for range datagrams {
		if _, err := client.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Microsecond)
	}
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	port := uint16(client.LocalAddr().(*net.UDPAddr).Port)
	var sum network.Flow
	for _, r := range node.reports {
		if !r.Interfaces[0].Balanced() {
			t.Errorf("the ledger %+v does not add up", r.Interfaces[0])
		}
		for _, f := range r.Flows {
			if f.Proto == network.UDP && (f.SrcPort == port || f.DstPort == port) {
				sum.SrcPkts += f.SrcPkts + f.DstPkts
				sum.SrcBytes += f.SrcBytes + f.DstBytes
			}
		}
	}
	if want := uint64(datagrams * (14 + 20 + 8 + size)); sum.SrcPkts != datagrams || sum.SrcBytes != want {
		t.Errorf("%d packets with %d bytes were seen, want %d with %d", sum.SrcPkts, sum.SrcBytes, datagrams, want)
	}
}
