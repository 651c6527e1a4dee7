package dns_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/dns"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// rows reads the conversations of a capture with a port, over both transports.
func rows(t testing.TB, path string, port uint16, protos ...network.Proto) []network.DNSQuery {
	t.Helper()
	p, out := dns.New(), parsetest.NewOut()
	for _, proto := range protos {
		for _, c := range parsetest.Conversations(t, path, proto, port) {
			var err error
			if proto == network.UDP {
				err = parsetest.RunDatagrams(p, out, c)
			} else {
				err = parsetest.Run(p.NewStream(), out, c, func(int) int { return 7 })
			}
			if err != nil {
				t.Errorf("%s: %v: %v", path, c.Session, err)
			}
		}
	}
	p.Cut(out, time.Time{}, true)
	return out.DNS
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct {
		port   uint16
		protos []network.Proto
	}{
		"testdata/dig.pcap":   {53, []network.Proto{network.UDP, network.TCP}},
		"testdata/llmnr.pcap": {5355, []network.Proto{network.UDP}},
		"testdata/mdns.pcap":  {5353, []network.Proto{network.UDP}},
		"testdata/nbns.pcap":  {137, []network.Proto{network.UDP}},
	} {
		b, err := json.MarshalIndent(rows(t, path, c.port, c.protos...), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		parsetest.Compare(t, path, string(b)+"\n")
	}
}

// TestNamesAgainstTshark compares the names asked for with tshark's, over the
// corpus.
func TestNamesAgainstTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each capture takes a while")
	}
	found := 0
	for _, path := range parsetest.Captures(t) {
		if why := map[string]string{
			"ipv6-fragmented-dns.pcap":         "fragments are put together before the parser",
			"bug-5633-gre-02__gre-sample.pcap": "in a tunnel: the flow table's business",
			"vxlan-decoder-03__vxlan.pcap":     "in a tunnel",
			"radiotap.pcap":                    "802.11",
		}[filepath.Base(path)]; why != "" {
			continue
		}
		want, got := map[string]bool{}, map[string]bool{}
		for _, r := range parsetest.Tshark(t, path, "", "(dns || mdns || llmnr) && udp && !icmp && !icmpv6 && (udp.port == 53 || udp.port == 5353 || udp.port == 5355)", "dns.qry.name") {
			for _, name := range strings.Split(strings.ToLower(r[0]), ",") { // mDNS asks several at once
				if name == "<root>" {
					name = "."
				}
				if name != "" {
					want[strings.ReplaceAll(name, " ", `\032`)] = true
				}
			}
		}
		p, out := dns.New(), parsetest.NewOut()
		parsetest.Packets(t, path, func(k *parsetest.Packet) {
			if s := k.Session(); s.Proto == network.UDP && slices.ContainsFunc([]uint16{53, 5353, 5355}, func(p uint16) bool { return p == s.ClientPort || p == s.ServerPort }) && !k.Fragment {
				out.Session = s
				_ = p.Datagram(out, parse.Client, k.Payload)
			}
		})
		p.Cut(out, time.Time{}, true)
		for _, q := range out.DNS {
			if q.Via != network.ViaMDNS || !q.Answered { // an answer of mDNS repeats no question
				got[q.Name] = true
			}
		}
		found += len(got)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s (-tshark +ours): %s", filepath.Base(path), diff)
		}
	}
	if found == 0 {
		t.Error("the corpus has no DNS")
	}
}

func TestDomain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"www.example.com": "example.com", "a.b.example.co.uk": "example.co.uk", "co.uk": "", "com": "", "localhost": "",
		"7.100.51.198.in-addr.arpa": "", "printer.local": "", "192.0.2.1": "", ".": "", "": "", "user.github.io": "user.github.io",
		`a\046b.example.com`: "example.com",
	} {
		if got := dns.Domain(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestEntropy(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]uint16{"": 0, ".": 0, "aaaa.aa": 0, "ab": 1000, "ab.cd": 2000, "abcdefgh": 3000, "aab": 918} {
		if got := dns.Entropy(name); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
}

func over(port uint16, server string) network.Session {
	return network.Session{
		Time: time.Unix(1, 0).UTC(), Client: netip.MustParseAddr("192.0.2.1"), ClientPort: 40000,
		Server: netip.MustParseAddr(server), ServerPort: port, Proto: network.UDP,
	}
}

// TestMulticastAnswer: who is asked by multicast answers from its own address.
func TestMulticastAnswer(t *testing.T) {
	t.Parallel()
	p, out := dns.New(), parsetest.NewOut()
	out.Session = over(5355, "224.0.0.252")
	if err := p.Datagram(out, parse.Client, packettest.Query(9, "files", 1)); err != nil {
		t.Fatal(err)
	}
	out.Session = over(5355, "192.0.2.9")
	out.Time = out.Time.Add(time.Millisecond)
	if err := p.Datagram(out, parse.Server, packettest.Answer(9, "files", 1, [4]byte{192, 0, 2, 9})); err != nil {
		t.Fatal(err)
	}
	p.Cut(out, time.Time{}, true)
	if len(out.DNS) != 1 {
		t.Fatalf("%+v", out.DNS)
	}
	if q := out.DNS[0]; q.Via != network.ViaLLMNR || !q.Answered || q.Server.String() != "192.0.2.9" || q.Latency != time.Millisecond || q.Domain != "" {
		t.Errorf("%+v", q)
	}
}

// TestBoundedParser asks a million names that nobody answers.
func TestBoundedParser(t *testing.T) {
	t.Parallel()
	p, out := dns.New(), parse.NewOut(1000, 100_000)
	out.Session = over(53, "192.0.2.2")
	b := packettest.Query(1, "abcdefgh.example.com", 1)
	for i := range 1_000_000 {
		b[0], b[1] = byte(i>>8), byte(i)
		copy(b[13:], fmt.Sprintf("%08x", i))
		if err := p.Datagram(out, parse.Client, b); err != nil {
			t.Fatal(err)
		}
	}
	p.Cut(out, time.Time{}, true)
	if len(out.DNS) != 1000 || out.Over < 980_000 || p.Counts().Pushed < 980_000 {
		t.Errorf("%d rows, %d over, %d pushed", len(out.DNS), out.Over, p.Counts().Pushed)
	}
}

func TestQuestionsAllocateNothing(t *testing.T) {
	p, out := dns.New(), parsetest.NewOut()
	out.Session = over(53, "192.0.2.2")
	b := packettest.Query(1, "www.example.com", 1)
	if n := testing.AllocsPerRun(100, func() { _ = p.Datagram(out, parse.Client, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOpcodesAreCounted(t *testing.T) {
	t.Parallel()
	p, out := dns.New(), parsetest.NewOut()
	out.Session = over(53, "192.0.2.2")
	b := packettest.Query(1, "example.com", 6)
	b[2] = 5 << 3 // an update
	if err := p.Datagram(out, parse.Client, b); err != nil || p.Counts().Opcodes != 1 {
		t.Errorf("%v, %+v", err, p.Counts())
	}
}

// TestStreamIsLinear reads n messages.
func TestStreamIsLinear(t *testing.T) {
	q := packettest.Query(1, "www.example.com", 1)
	one := string(append([]byte{0, byte(len(q))}, q...))
	s, out := dns.New().NewStream(), parsetest.NewOut()
	parsetest.Linear(t, 200, func(n int) {
		_ = parsetest.Run(s, out, parsetest.Talk(53, parsetest.C(strings.Repeat(one, n))), func(int) int { return 512 })
	})
}

// alone is a stream with a parser of its own for each connection: questions
// that wait for an answer would else be answered by the next run.
type alone struct{ *dns.Stream }

func (a *alone) Reset() { a.Stream = dns.New().NewStream() }

func FuzzStream(f *testing.F) {
	parsetest.FuzzStream(f, func() parse.Stream { return &alone{} }, parsetest.Conversations(f, "testdata/dig.pcap", network.TCP, 53)...)
}

func FuzzDatagram(f *testing.F) {
	for _, c := range []struct {
		path string
		port uint16
	}{{"testdata/dig.pcap", 53}, {"testdata/llmnr.pcap", 5355}, {"testdata/mdns.pcap", 5353}, {"testdata/nbns.pcap", 137}} {
		for _, c := range parsetest.Conversations(f, c.path, network.UDP, c.port) {
			for _, chunk := range c.Chunks {
				f.Add(chunk.Data, c.Session.ServerPort)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		p, out := dns.New(), parsetest.NewOut()
		out.Session = over(port, "192.0.2.2")
		_ = p.Datagram(out, parse.Client, b)
		_ = p.Datagram(out, parse.Server, b)
		p.Cut(out, time.Time{}, true)
		for _, q := range out.DNS {
			if len(q.Answers) > dns.MaxAnswers {
				t.Errorf("%d answers", len(q.Answers))
			}
			for _, s := range append(q.Answers, q.Name, q.Domain) {
				if len(s) > 1200 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("text %q", s)
				}
			}
		}
	})
}
