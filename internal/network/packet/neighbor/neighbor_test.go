package neighbor_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/neighbor"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

const (
	etherARP = 0x0806
	icmpv6   = 58
	ether    = 14
	ipv6     = 40
)

// frame gives the parser a frame of Ethernet without tags.
func frame(p *neighbor.Parser, out *parse.Out, f []byte, at time.Time) error {
	if len(f) < ether {
		return parse.ErrNot
	}
	out.Session = network.Session{Time: at}
	switch typ := binary.BigEndian.Uint16(f[12:]); {
	case typ == etherARP:
		return p.ARP(out, f[ether:])
	case typ == 0x86dd && len(f) >= ether+ipv6+4 && f[ether+6] == icmpv6:
		h := neighbor.Header{MAC: network.MAC(f[6:12]), Src: netip.AddrFrom16([16]byte(f[ether+8:])), HopLimit: f[ether+7],
			Type: f[ether+ipv6], Code: f[ether+ipv6+1]}
		return p.ND(out, h, f[ether+ipv6+4:])
	}
	return parse.ErrNot
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"testdata/arp.pcap", "testdata/nd.pcap"} {
		p, out := neighbor.New(), parsetest.NewOut()
		parsetest.Packets(t, path, func(k *parsetest.Packet) {
			if err := frame(p, out, k.Frame, k.Session().Time); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		})
		p.Cut(out, time.Time{}, true)
		parsetest.Compare(t, path, parsetest.Rows(t, out)+"\n")
	}
}

// TestAgainstTshark compares the senders of ARP with tshark's, over the corpus.
func TestAgainstTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each capture takes a while")
	}
	found := 0
	for _, path := range parsetest.Captures(t) {
		rows := parsetest.Tshark(t, path, "", "eth.type == 0x0806 && arp.proto.size == 4 && !vlan", "arp.src.hw_mac", "arp.src.proto_ipv4")
		if len(rows) == 0 {
			continue
		}
		want, got := map[string]int{}, map[string]int{}
		for _, r := range rows {
			if r[1] == "0.0.0.0" {
				r[1] = ""
			}
			want[r[0]+" "+r[1]]++
		}
		p, out := neighbor.New(), parsetest.NewOut()
		parsetest.Packets(t, path, func(k *parsetest.Packet) {
			if len(k.Frame) > ether && binary.BigEndian.Uint16(k.Frame[12:]) == etherARP {
				_ = frame(p, out, k.Frame, time.Time{})
			}
		})
		p.Cut(out, time.Time{}, true)
		for _, n := range out.Records.Neighbors {
			a := ""
			if n.Addr.IsValid() {
				a = n.Addr.String()
			}
			got[n.MAC.String()+" "+a] += int(n.Count)
		}
		found += len(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-tshark +ours): %s", path, diff)
		}
	}
	if found == 0 {
		t.Error("the corpus has no ARP")
	}
}

var (
	mac   = network.MAC{2, 0, 0, 0, 0, 1}
	other = network.MAC{2, 0, 0, 0, 0, 2}
)

func arp(operation byte, sender, target string) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, operation}
	b = append(b, mac[:]...)
	s, g := netip.MustParseAddr(sender).As4(), netip.MustParseAddr(target).As4()
	b = append(append(b, s[:]...), other[:]...)
	return append(b, g[:]...)
}

func TestARP(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		b    []byte
		want network.Neighbor
		err  error
	}{
		"request":            {arp(1, "192.0.2.1", "192.0.2.2"), network.Neighbor{Addr: netip.MustParseAddr("192.0.2.1"), Target: netip.MustParseAddr("192.0.2.2"), Kind: "request"}, nil},
		"reply":              {arp(2, "192.0.2.1", "192.0.2.2"), network.Neighbor{Addr: netip.MustParseAddr("192.0.2.1"), Kind: "reply"}, nil},
		"announcement":       {arp(1, "192.0.2.1", "192.0.2.1"), network.Neighbor{Addr: netip.MustParseAddr("192.0.2.1"), Kind: "gratuitous"}, nil},
		"probe":              {arp(1, "0.0.0.0", "192.0.2.2"), network.Neighbor{Target: netip.MustParseAddr("192.0.2.2"), Kind: "probe"}, nil},
		"reverse":            {arp(3, "192.0.2.1", "192.0.2.2"), network.Neighbor{}, parse.ErrNot},
		"short":              {arp(1, "192.0.2.1", "192.0.2.2")[:27], network.Neighbor{}, parse.ErrMalformed},
		"other address size": {append([]byte{0, 1, 8, 0, 8, 4}, arp(1, "192.0.2.1", "192.0.2.2")[6:]...), network.Neighbor{}, parse.ErrMalformed},
		"InfiniBand":         {append([]byte{0, 32}, arp(1, "192.0.2.1", "192.0.2.2")[2:]...), network.Neighbor{}, parse.ErrNot},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			p, out := neighbor.New(), parsetest.NewOut()
			out.VLAN = 7
			for range 3 {
				if err := p.ARP(out, c.b); err != c.err { //nolint:errorlint // the sentinel itself
					t.Fatalf("%v, want %v", err, c.err)
				}
			}
			p.Cut(out, time.Time{}, false)
			if c.err != nil {
				if len(out.Records.Neighbors) != 0 {
					t.Errorf("%+v", out.Records.Neighbors)
				}
				return
			}
			c.want.MAC, c.want.Source, c.want.Count, c.want.VLAN = mac, "arp", 3, 7
			same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff([]network.Neighbor{c.want}, out.Records.Neighbors, same); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNDIsSuspicious: what a host must ignore is malformed.
func TestNDIsSuspicious(t *testing.T) {
	t.Parallel()
	body := make([]byte, 28)
	body[4], body[20], body[21] = 0xfe, 1, 1
	good := neighbor.Header{MAC: mac, Src: netip.MustParseAddr("fe80::1"), HopLimit: 255, Type: 135}
	for title, change := range map[string]func(h *neighbor.Header, b []byte) []byte{
		"routed":             func(h *neighbor.Header, b []byte) []byte { h.HopLimit = 254; return b },
		"code":               func(h *neighbor.Header, b []byte) []byte { h.Code = 1; return b },
		"short":              func(_ *neighbor.Header, b []byte) []byte { return b[:19] },
		"option of length 0": func(_ *neighbor.Header, b []byte) []byte { b[21] = 0; return b },
		"option cut":         func(_ *neighbor.Header, b []byte) []byte { return b[:27] },
		"multicast target":   func(_ *neighbor.Header, b []byte) []byte { b[4] = 0xff; return b },
	} {
		p, out, h := neighbor.New(), parsetest.NewOut(), good
		if err := p.ND(out, h, body); err != nil {
			t.Fatalf("the good one: %v", err)
		}
		b := change(&h, append([]byte(nil), body...))
		if err := p.ND(out, h, b); err != parse.ErrMalformed { //nolint:errorlint // the sentinel itself
			t.Errorf("%s: %v", title, err)
		}
	}
}

// TestBounded: a million senders fill the table, and no more; established
// bindings allocate nothing.
func TestBounded(t *testing.T) {
	p, out := neighbor.New(), parse.NewOut(1<<20, 1<<20)
	b := arp(1, "192.0.2.1", "192.0.2.2")
	for i := range uint32(1_000_000) {
		binary.BigEndian.PutUint32(b[14:], 0x0a000000|i)
		if err := p.ARP(out, b); err != nil {
			t.Fatal(err)
		}
	}
	if out.Over != 1_000_000-neighbor.MaxBindings {
		t.Errorf("%d over", out.Over)
	}
	p.Cut(out, time.Time{}, false)
	if n := len(out.Records.Neighbors); n != neighbor.MaxBindings {
		t.Errorf("%d rows", n)
	}
	p = neighbor.New()
	_ = p.ARP(out, b)
	if n := testing.AllocsPerRun(100, func() { _ = p.ARP(out, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLinear(t *testing.T) {
	h := neighbor.Header{MAC: mac, Src: netip.MustParseAddr("fe80::1"), HopLimit: 255, Type: 135}
	p, out := neighbor.New(), parsetest.NewOut()
	parsetest.Linear(t, 15, func(n int) {
		b := make([]byte, 20, 20+8*n)
		for range n {
			b = append(b, 14, 1, 0, 0, 0, 0, 0, 0)
		}
		_ = p.ND(out, h, b)
	})
}

func FuzzFrame(f *testing.F) {
	for _, path := range []string{"testdata/arp.pcap", "testdata/nd.pcap"} {
		parsetest.Packets(f, path, func(k *parsetest.Packet) { f.Add(append([]byte(nil), k.Frame...)) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, out := neighbor.New(), parsetest.NewOut()
		err := frame(p, out, b, time.Time{})
		p.Cut(out, time.Time{}, true)
		if n := len(out.Records.Neighbors); n > 1 || (n == 1) != (err == nil) {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}
