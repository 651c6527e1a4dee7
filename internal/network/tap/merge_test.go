package tap

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/network"
)

func at(s int) time.Time { return time.Unix(int64(s), 0).UTC() }

// TestMergeWorkers joins what two workers saw: a flow that one saw from the
// other side (in a tunnel), one of which one saw fragments, and one each.
func TestMergeWorkers(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	flow := func(src, dst netip.Addr, sport, dport uint16, start, end int) network.Flow {
		return network.Flow{Source: src, Dest: dst, SrcPort: sport, DstPort: dport, Proto: network.UDP, Start: at(start), End: at(end),
			SrcPkts: 3, SrcBytes: 300, SrcTTL: 64, Tunnel: network.TunnelVXLAN, TunnelID: 5}
	}
	there, back := flow(a, b, 1000, 53, 10, 20), flow(b, a, 53, 1000, 11, 21)
	back.SrcTTL, back.App, back.SrcMAC = 60, "dns", network.MAC{2}
	there.Ended, back.Ended = true, true
	old := flow(a, b, 1000, 53, 9, 9) // the ports were used before
	old.Ended = true
	other := flow(a, b, 1000, 53, 12, 13)
	other.TunnelID = 6
	syn := network.Flow{Source: b, Dest: a, SrcPort: 9, DstPort: 80, Proto: network.TCP, Start: at(15), End: at(16), SrcPkts: 1, SrcFlags: 2, State: network.TCPSynSent, Ended: true}
	fragment := network.Flow{Source: a, Dest: b, SrcPort: 80, DstPort: 9, Proto: network.TCP, Start: at(14), End: at(19), SrcPkts: 2, SrcFlags: 16}
	parts := []network.Report{
		{Start: at(10), End: at(30), Interfaces: []network.Ledger{{Interface: "eth0", Received: 10, Summarised: 8, DroppedKernel: 2, Bytes: 100}},
			Health: network.Health{FlowsActive: 2, FlowsMax: 10}, Flows: []network.Flow{old, there, fragment}, DNS: make([]network.DNSQuery, 2),
			Records: network.Records{SSH: make([]network.SSH, 1)}},
		{Start: at(9), End: at(30), Interfaces: []network.Ledger{{Interface: "eth0", Received: 5, Summarised: 4, Malformed: 1, Bytes: 50}},
			Health: network.Health{FlowsActive: 3, FlowsMax: 10}, Flows: []network.Flow{other, back, syn}, TLS: make([]network.TLSHello, 1),
			Records: network.Records{SSH: make([]network.SSH, 2), FTP: make([]network.FTP, 1)}},
	}
	got := mergeWorkers(parts)
	both := there
	both.End, both.DstPkts, both.DstBytes, both.DstTTL, both.App, both.DstMAC = at(21), 3, 300, 60, "dns", network.MAC{2}
	tcp := syn
	tcp.Start, tcp.End, tcp.DstPkts, tcp.DstFlags, tcp.Ended = at(14), at(19), 2, 16, false
	want := network.Report{
		Start: at(9), End: at(30), Health: network.Health{FlowsActive: 5, FlowsMax: 20},
		Interfaces: []network.Ledger{{Interface: "eth0", Received: 15, Summarised: 12, DroppedKernel: 2, Malformed: 1, Bytes: 150}},
		Flows:      []network.Flow{old, both, tcp, other}, DNS: make([]network.DNSQuery, 2), TLS: make([]network.TLSHello, 1),
		Records: network.Records{SSH: make([]network.SSH, 3), FTP: make([]network.FTP, 1)},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if l := got.Interfaces[0]; !l.Balanced() {
		t.Errorf("%+v does not add up", l)
	}
}

// TestMergeEqual: what several workers heard alike stands once, with the
// earlier time and the sum of the counts, and what differs stays apart.
func TestMergeEqual(t *testing.T) {
	t.Parallel()
	n := network.Neighbor{Time: at(20), MAC: network.MAC{1}, Addr: netip.MustParseAddr("fe80::1"), Source: "nd", Kind: "advertisement", Count: 3}
	sooner, tagged, probe := n, n, n
	sooner.Time, sooner.Count = at(10), 4
	tagged.VLAN = 5
	probe.Target = netip.MustParseAddr("fe80::2")
	l := network.Link{Time: at(10), Protocol: "lldp", MAC: network.MAC{2}, Device: "switch", Port: "1"}
	later, port := l, l
	later.Time = at(30)
	port.Port = "2"
	part := func(n []network.Neighbor, l ...network.Link) network.Report {
		return network.Report{Interfaces: []network.Ledger{{Interface: "eth0"}}, Records: network.Records{Neighbors: n, Links: l}}
	}
	got := mergeWorkers([]network.Report{
		part([]network.Neighbor{n, tagged}, later), part([]network.Neighbor{probe, sooner}, port, l), part(nil, l),
	})
	both := n
	both.Time, both.Count = at(10), 7
	want := network.Records{Neighbors: []network.Neighbor{both, tagged, probe}, Links: []network.Link{l, port}}
	if diff := cmp.Diff(want, got.Records, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	// Several interfaces of one report, too.
	all := join([]network.Report{got, part([]network.Neighbor{n})})
	if len(all.Neighbors) != 3 || all.Neighbors[0].Count != 10 || len(all.Interfaces) != 2 {
		t.Errorf("%+v", all)
	}
}

// What several workers heard of the air is one row, as if one had heard it all.
func TestMergeWiFi(t *testing.T) {
	t.Parallel()
	ap, sta, other := network.MAC{1}, network.MAC{2}, network.MAC{3}
	part := func(r network.Records) network.Report {
		return network.Report{Interfaces: []network.Ledger{{Interface: "mon0"}}, Records: r}
	}
	got := mergeWorkers([]network.Report{
		part(network.Records{
			WiFiNetworks: []network.WiFiNetwork{{Time: at(20), BSSID: ap, SSID: "home", Channel: 1, Signal: -40, Weakest: -60, Probes: 2, WPS: "configured"}, {Time: at(9), BSSID: ap, SSID: "guest", Beacons: 1}},
			WiFiClients:  []network.WiFiClient{{Time: at(20), MAC: sta, Wanted: []string{"home"}, Signal: -50, DataSent: 3, BytesSent: 300, Management: 1}},
			WiFiEvents:   []network.WiFiEvent{{Time: at(20), Kind: "deauthentication", From: ap, To: sta, BSSID: ap, Reason: 7, Count: 5, Signal: -44}},
			Drones:       []network.Drone{{Time: at(20), MAC: other, Transport: "wifi-beacon", ID: "d1", Latitude: 1, Messages: 2, Signal: -70}},
		}),
		part(network.Records{
			WiFiNetworks: []network.WiFiNetwork{{Time: at(10), BSSID: ap, SSID: "home", Channel: 6, Security: []string{"WPA2-PSK-CCMP"}, Signal: -45, Weakest: -80, Beacons: 7}},
			WiFiClients:  []network.WiFiClient{{Time: at(10), MAC: sta, BSSID: ap, Wanted: []string{"home", "work"}, DataGot: 4, BytesGot: 400, Control: 2, Fingerprint: "f"}, {Time: at(11), MAC: other}},
			WiFiEvents:   []network.WiFiEvent{{Time: at(10), Kind: "deauthentication", From: ap, To: sta, BSSID: ap, Reason: 7, Count: 6, Signal: -41}, {Time: at(10), Kind: "deauthentication", From: ap, To: sta, BSSID: ap, Reason: 1, Count: 1}},
			Drones:       []network.Drone{{Time: at(30), MAC: other, Transport: "wifi-beacon", ID: "d1", Latitude: 2, Messages: 3}},
		}),
	})
	want := network.Records{
		WiFiNetworks: []network.WiFiNetwork{{Time: at(10), BSSID: ap, SSID: "home", Channel: 6, Security: []string{"WPA2-PSK-CCMP"}, Signal: -40, Weakest: -80, Beacons: 7, Probes: 2, WPS: "configured"}, {Time: at(9), BSSID: ap, SSID: "guest", Beacons: 1}},
		WiFiClients: []network.WiFiClient{{Time: at(10), MAC: sta, BSSID: ap, Wanted: []string{"home", "work"}, Signal: -50, DataSent: 3, BytesSent: 300, DataGot: 4, BytesGot: 400,
			Management: 1, Control: 2, Fingerprint: "f"}, {Time: at(11), MAC: other}},
		WiFiEvents: []network.WiFiEvent{{Time: at(10), Kind: "deauthentication", From: ap, To: sta, BSSID: ap, Reason: 7, Count: 11, Signal: -41}, {Time: at(10), Kind: "deauthentication", From: ap, To: sta, BSSID: ap, Reason: 1, Count: 1}},
		Drones:     []network.Drone{{Time: at(30), MAC: other, Transport: "wifi-beacon", ID: "d1", Latitude: 2, Messages: 5, Signal: -70}},
	}
	if diff := cmp.Diff(want, got.Records, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestTurned: turning a flow twice changes nothing, and once changes every
// field that has a side.
func TestTurned(t *testing.T) {
	t.Parallel()
	f := network.Flow{Source: netip.MustParseAddr("::1"), SrcPort: 1, SrcMAC: network.MAC{1}, SrcPkts: 1, SrcBytes: 1, SrcFlags: 1, SrcTTL: 1, ClientRTT: 1, SrcRetrans: 1, SrcZeroWin: 1}
	once := turned(f)
	want := network.Flow{Dest: f.Source, DstPort: 1, DstMAC: network.MAC{1}, DstPkts: 1, DstBytes: 1, DstFlags: 1, DstTTL: 1, ServerRTT: 1, DstRetrans: 1, DstZeroWin: 1}
	if diff := cmp.Diff(want, once, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(f, turned(once), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}
