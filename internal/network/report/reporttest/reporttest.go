// Package reporttest makes reports for tests and benchmarks. The same seed
// gives the same report.
package reporttest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/network"
)

// Size says how many rows a report has; Records is of each kind of them.
type Size struct{ Flows, DNS, TLS, Records int }

// Boot is a boot id made of a seed.
func Boot(seed uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], seed)
	binary.BigEndian.PutUint64(b[8:], seed)
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	return uuid.UUID(b).String()
}

// New makes a report that ends at end and covers ten seconds, with every field
// filled and numbers spread as traffic has them: few servers, many clients,
// some IPv6, 60 % of the flows with an application. Flows stand in the order in
// which they began, as they do in a flow table.
func New(seed uint64, id network.Identity, end time.Time, size Size) *network.Report {
	g := generator{rand.New(rand.NewPCG(seed, 1)), end.UTC().Truncate(time.Microsecond).Add(-10 * time.Second)}
	r := &network.Report{
		Identity: id, Start: g.start, End: g.start.Add(10 * time.Second), Seed: 7,
		Health: network.Health{Version: "v1.2.3", CPUSeconds: 12.5, MemoryBytes: 40 << 20, FlowsActive: 12, FlowsMax: 262144,
			SpoolReports: 1, SpoolBytes: 4096, SpoolDropped: 2, RingBytes: 64 << 20},
	}
	r.Flows = g.flows(size.Flows)
	for range size.DNS {
		r.DNS = append(r.DNS, g.dns())
	}
	for range size.TLS {
		r.TLS = append(r.TLS, g.tls())
	}
	if size.Records > 0 {
		g.fill(&r.Records, size.Records)
	}
	r.Interfaces = []network.Ledger{g.ledger("eth0", r.Flows)}
	return r
}

type generator struct {
	*rand.Rand
	start time.Time
}

func (g generator) time() time.Time {
	return g.start.Add(time.Duration(g.Int64N(int64(10*time.Second/time.Microsecond))) * time.Microsecond)
}

func (g generator) client() netip.Addr {
	if g.IntN(100) < 15 {
		a := netip.MustParseAddr("2001:db8::").As16()
		binary.BigEndian.PutUint16(a[14:], uint16(g.IntN(20000)))
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte{10, byte(g.IntN(4)), byte(g.IntN(256)), byte(g.IntN(256))})
}

// server is one of the client's family.
func (g generator) server(client netip.Addr) netip.Addr {
	n := byte(min(g.IntN(256), g.IntN(256)))
	if client.Is4() {
		return netip.AddrFrom4([4]byte{192, 0, 2, n})
	}
	a := netip.MustParseAddr("2001:db8:1::").As16()
	a[15] = n
	return netip.AddrFrom16(a)
}

var apps = [...]string{"tls", "dns", "http", "ssh", "quic", "ntp"}

// flows makes flows and sorts their places: a flow is too large to be moved
// about by a sort.
func (g generator) flows(n int) []network.Flow {
	made := make([]network.Flow, n)
	order := make([]int, n)
	for i := range made {
		made[i], order[i] = g.flow(), i
	}
	slices.SortStableFunc(order, func(x, y int) int { return made[x].Start.Compare(made[y].Start) })
	var sorted []network.Flow // nil when there is none, as of a report that was decoded
	for _, i := range order {
		sorted = append(slices.Grow(sorted, n-len(sorted)), made[i])
	}
	return sorted
}

func (g generator) flow() network.Flow {
	client := g.client()
	f := network.Flow{Start: g.time(), Source: client, Dest: g.server(client), SrcPort: uint16(32768 + g.IntN(28000)), DstPort: 443,
		Proto: network.TCP, SrcPkts: 1 + uint64(g.IntN(40)), DstPkts: uint64(g.IntN(60)), SrcFlags: 0x1b, DstFlags: 0x1b,
		State: network.TCPState(g.IntN(8)), Ended: g.IntN(3) > 0,
		SrcMAC: [6]byte{2, 0, 0, 0, 0, byte(g.IntN(64))}, DstMAC: [6]byte{2, 0, 0, 0, 1, 1}}
	if g.IntN(4) == 0 {
		f.Proto, f.DstPort, f.State, f.SrcFlags, f.DstFlags = network.UDP, 53, 0, 0, 0
	}
	if g.IntN(10) == 0 {
		f.VLAN = uint16(100 + g.IntN(8))
	}
	if g.IntN(100) < 60 {
		f.App = apps[g.IntN(len(apps))]
	}
	g.transport(&f)
	f.SrcBytes, f.DstBytes = f.SrcPkts*uint64(60+g.IntN(400)), f.DstPkts*uint64(60+g.IntN(1400))
	f.End = f.Start.Add(time.Duration(g.IntN(3_000_000)) * time.Microsecond)
	return f
}

// prints are fingerprints of the usual stacks, the most frequent first.
var prints = [...]string{"64240_2-4-8-1-3_1460_7", "64240_2-1-3-1-1-4_1460_8", "65535_2-1-3-1-1-8-4-0-0_1460_6", "65535_2-4-8-1-3_1460_9", "29200_2-4-8-1-3_1460_7", "8192_2-1-3-1-1-4_1460_8"}

// ttls are those of hosts nearby and of servers some hops away.
var ttls = [...]uint8{64, 128, 64, 255}

// transport fills what only TCP and tunnels have, as often as it happens: half
// of the connections begin in the report, one in twenty loses something, one
// in fifty is in a tunnel.
func (g generator) transport(f *network.Flow) {
	f.SrcTTL, f.DstTTL = ttls[min(g.IntN(4), g.IntN(4))], 64-uint8(min(g.IntN(20), g.IntN(20)))
	if g.IntN(50) == 0 {
		f.Tunnel, f.TunnelID = 1+network.Tunnel(g.IntN(int(network.TunnelCount)-1)), uint32(1000+g.IntN(8))
	}
	if f.Proto != network.TCP {
		return
	}
	if g.IntN(2) == 0 {
		f.ClientRTT, f.ServerRTT = time.Duration(50+g.IntN(900))*time.Microsecond, time.Duration(500+min(g.IntN(60000), g.IntN(60000)))*time.Microsecond
		f.Fingerprint = prints[min(g.IntN(6), g.IntN(6))]
	}
	if g.IntN(20) == 0 {
		f.SrcRetrans, f.DstRetrans = uint32(g.IntN(3)), uint32(g.IntN(6))
	}
	if g.IntN(50) == 0 {
		f.SrcZeroWin, f.DstZeroWin = uint32(g.IntN(3)), uint32(g.IntN(2))
	}
}

func (g generator) name() string {
	return fmt.Sprintf("host%d.example%d.com", g.IntN(50), min(g.IntN(200), g.IntN(200)))
}

func (g generator) dns() network.DNSQuery {
	client := g.client()
	q := network.DNSQuery{Time: g.time(), Client: client, Server: g.server(client), Port: uint16(1024 + g.IntN(60000)), Proto: network.UDP, Name: g.name(), Type: 1,
		Via: [...]string{network.ViaDNS, network.ViaMDNS, network.ViaLLMNR, network.ViaNBNS}[g.IntN(4)], Entropy: uint16(g.IntN(5000))}
	q.Domain = q.Name[strings.IndexByte(q.Name, '.')+1:]
	if g.IntN(20) == 0 {
		q.Subnet = "192.0.2.0/24"
	}
	if g.IntN(10) > 0 {
		q.Answered, q.RCode, q.Latency = true, uint8(g.IntN(4)), time.Duration(g.IntN(90000))*time.Microsecond
		q.Authoritative, q.Truncated, q.Recursion, q.Authenticated = g.IntN(2) == 0, g.IntN(9) == 0, g.IntN(2) == 0, g.IntN(9) == 0
		for range g.IntN(4) {
			q.Answers = append(q.Answers, g.server(client).String())
		}
	}
	return q
}

func (g generator) tls() network.TLSHello {
	client := g.client()
	h := network.TLSHello{Time: g.time(), Client: client, Server: g.server(client), SrcPort: uint16(32768 + g.IntN(28000)), DstPort: 443, Proto: network.TCP, SNI: g.name(), Version: 0x0304}
	if g.IntN(4) > 0 {
		h.ALPN, h.Protocol = []string{"h2", "http/1.1"}, "h2"
	}
	h.Offered, h.JA3, h.JA4 = "1.3,1.2", fmt.Sprintf("%032x", g.IntN(50)), fmt.Sprintf("t13d1516h2_8daaf6152771_%012x", g.IntN(50))
	switch g.IntN(8) {
	case 0:
		h.Proto = network.UDP
	case 1:
		h.Alert = "unknown_ca"
	case 2, 3:
		h.Chosen, h.Cipher, h.Resumed, h.JA3S = 0x0304, 0x1301, g.IntN(2) == 0, fmt.Sprintf("%032x", g.IntN(20))
	default:
		h.Chosen, h.Cipher, h.JA3S = 0x0303, 0xc02f, fmt.Sprintf("%032x", g.IntN(20))
		g.certificate(&h)
	}
	return h
}

func (g generator) certificate(h *network.TLSHello) {
	h.Subject, h.Issuer, h.Names = "CN="+h.SNI, "CN=Example CA,O=Example,C=US", []string{h.SNI, "www." + h.SNI}
	h.NotBefore = g.time().Truncate(24 * time.Hour)
	h.NotAfter = h.NotBefore.Add(90 * 24 * time.Hour)
	h.Serial, h.Fingerprint = fmt.Sprintf("%032x", g.Uint64()), fmt.Sprintf("%064x", g.Uint64())
}

// ledger makes a ledger that adds up and accounts for all packets of the flows.
func (g generator) ledger(name string, flows []network.Flow) network.Ledger {
	l := network.Ledger{Interface: name, DroppedKernel: uint64(g.IntN(10)), DroppedPipeline: uint64(g.IntN(3)), Malformed: uint64(g.IntN(5)),
		HeldFragments: uint64(g.IntN(4)), ReleasedFragments: uint64(g.IntN(3))}
	for i := range flows {
		l.Summarised += flows[i].SrcPkts + flows[i].DstPkts
		l.Bytes += flows[i].SrcBytes + flows[i].DstBytes
	}
	l.Summarised += l.ReleasedFragments
	l.Received = l.Summarised + l.DroppedKernel + l.DroppedPipeline + l.Malformed + l.HeldFragments - l.ReleasedFragments
	return l
}
