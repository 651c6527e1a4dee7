package pipeline

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// talk puts TCP payloads of one connection into a pipeline.
type talk struct {
	p      *Pipeline
	c, s   netip.AddrPort
	at     int64
	frames uint64
	next   [2]uint32 // sequence numbers that the other side acknowledges
}

func newTalk(cfg Config, port uint16) *talk {
	cfg.MaxFlows = 1024
	return &talk{
		p: New(cfg), at: 1e9,
		c: netip.MustParseAddrPort("10.0.0.1:40000"),
		s: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port),
	}
}

func (k *talk) frame(f packettest.Frame) {
	k.at += 1e6
	k.frames++
	b := f.Bytes()
	k.p.Packet(k.at, packet.LinkEthernet, b, len(b))
}

func (k *talk) tcp(up bool, seq uint32, payload []byte) {
	f := packettest.Frame{Src: k.c, Dst: k.s, Proto: 6, Flags: packet.ACK, Seq: seq, Ack: k.next[1], Payload: payload}
	side := 0
	if !up {
		f.Src, f.Dst, f.Ack, side = k.s, k.c, k.next[0], 1
	}
	k.next[side] = seq + uint32(len(payload))
	k.frame(f)
}

// TestHTTP2: a connection that begins with the preface of HTTP/2 is http2, on
// whatever port and however it is cut; so is one that is upgraded, whose request
// is reported still.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	preface := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for name, c := range map[string]struct {
		port uint16
		said [][]byte
		app  string
		rows int
	}{
		"port 80":       {80, [][]byte{preface}, "http2", 1},
		"another port":  {9999, [][]byte{preface}, "http2", 1},
		"cut early":     {8080, [][]byte{preface[:3], preface[3:]}, "http2", 1},
		"cut late":      {9999, [][]byte{preface[:17], preface[17:]}, "http2", 1},
		"HTTP/1.1":      {80, [][]byte{[]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")}, "http", 1},
		"another's PRI": {9999, [][]byte{[]byte("PRIVMSG #a :hello, this is no preface, and long enough to say so\r\n")}, "", 0},
	} {
		k := newTalk(Config{}, c.port)
		seq := uint32(1)
		for _, b := range c.said {
			k.tcp(true, seq, b)
			seq += uint32(len(b))
		}
		r := k.end(t)
		if r.Flows[0].App != c.app || len(r.HTTP) != c.rows || c.app == "http2" && r.HTTP[0].Version != "2" {
			t.Errorf("%s: application %q, %+v", name, r.Flows[0].App, r.HTTP)
		}
	}
	for _, to := range []string{"h2c", "websocket"} {
		k := newTalk(Config{}, 80)
		k.tcp(true, 1, []byte("GET /up HTTP/1.1\r\nHost: h\r\nUpgrade: "+to+"\r\n\r\n"))
		k.tcp(false, 0, []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: "+to+"\r\n\r\n"))
		app, rows := "http", 1
		if to == "h2c" {
			app, rows = "http2", 2
		}
		if r := k.end(t); r.Flows[0].App != app || len(r.HTTP) != rows || r.HTTP[0].Path != "/up" || r.HTTP[0].Status != 101 {
			t.Errorf("upgraded to %s: application %q, %+v", to, r.Flows[0].App, r.HTTP)
		}
	}
	k := newTalk(Config{Settings: Settings{Disabled: []string{"http"}}}, 9999)
	k.tcp(true, 1, preface)
	if r := k.end(t); r.Flows[0].App != "" || len(r.HTTP) != 0 {
		t.Errorf("with http switched off: %q, %+v", r.Flows[0].App, r.HTTP)
	}
}

// end finishes the pipeline and checks what every report must keep to.
func (k *talk) end(t *testing.T) network.Report {
	t.Helper()
	r := k.p.Finish(time.Unix(0, k.at))
	if l := r.Interfaces[0]; !l.Balanced() || l.Received != k.frames {
		t.Errorf("%d frames, ledger %+v", k.frames, l)
	}
	if n, used := k.p.streams.Stats(); n != 0 || used != 0 {
		t.Errorf("%d streams are not closed, %d bytes are held", n, used)
	}
	return r
}

// parser returns the counters of a parser up to the last cut.
func (k *talk) parser(name string) ParserCounters {
	for _, c := range k.p.Counters().Parsers {
		if c.Name == name {
			return c
		}
	}
	return ParserCounters{}
}

// pieces cuts b at random places.
func pieces(rng *rand.Rand, b []byte, most int) (out [][]byte) {
	for len(b) > 0 {
		n := 1 + rng.IntN(min(most, len(b)))
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

func TestHelloOverSegments(t *testing.T) {
	t.Parallel()
	hello := packettest.ClientHello("host.example.net", "h2")
	if len(hello) < 600 {
		t.Fatalf("a ClientHello of %d bytes", len(hello))
	}
	for _, c := range []struct {
		name   string
		ranges [][2]int
		want   int
		gaps   uint64
	}{
		{"one", [][2]int{{0, len(hello)}}, 1, 0},
		{"two", [][2]int{{0, 200}, {200, len(hello)}}, 1, 0},
		{"three", [][2]int{{0, 6}, {6, 100}, {100, len(hello)}}, 1, 0},
		{"sent again", [][2]int{{0, 200}, {0, 200}, {200, 300}, {0, 300}, {300, len(hello)}}, 1, 0},
		{"overlapping", [][2]int{{0, 200}, {100, 400}, {150, len(hello)}}, 1, 0},
		{"whole twice", [][2]int{{0, len(hello)}, {0, len(hello)}}, 1, 0},
		{"gap", [][2]int{{0, 200}, {300, len(hello)}}, 0, 1},
		{"no end", [][2]int{{0, 200}, {200, 300}}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newTalk(Config{}, 4430)
			k.next[1] = 1
			for _, r := range c.ranges {
				k.tcp(true, 0xffffff00+uint32(r[0]), hello[r[0]:r[1]]) // the sequence numbers wrap
				k.tcp(false, 1, nil)
			}
			r := k.end(t)
			if len(r.TLS) != c.want || k.parser("tls").Gaps != c.gaps {
				t.Fatalf("%d hellos, %+v", len(r.TLS), k.parser("tls"))
			}
			if r.Flows[0].App != "tls" {
				t.Errorf("application %q", r.Flows[0].App)
			}
			if c.want == 1 {
				want := network.TLSHello{Time: r.TLS[0].Time, Client: k.c.Addr(), Server: k.s.Addr(), SrcPort: 40000,
					DstPort: 4430, Proto: network.TCP, SNI: "host.example.net", ALPN: []string{"h2"}, Version: 0x304, Offered: "1.3,1.2",
					JA3: r.TLS[0].JA3, JA4: r.TLS[0].JA4}
				addrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
				if diff := cmp.Diff(want, r.TLS[0], addrs); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestLongHelloByteByByte sends a hello as large as those with post-quantum
// keys are, a byte at a time.
func TestLongHelloByteByByte(t *testing.T) {
	t.Parallel()
	hello := packettest.ClientHello("host.example.net", strings.Repeat("x", 255), strings.Repeat("y", 255), strings.Repeat("z", 255), strings.Repeat("w", 255), "h2")
	if len(hello) < 1600 {
		t.Fatalf("a ClientHello of %d bytes", len(hello))
	}
	k := newTalk(Config{}, 443)
	for i := range hello {
		k.tcp(true, uint32(i), hello[i:i+1])
	}
	if r := k.end(t); len(r.TLS) != 1 || r.TLS[0].SNI != "host.example.net" {
		t.Errorf("%d hellos, %+v", len(r.TLS), k.parser("tls"))
	}
}

// TestQUICThatNeverGoesOn begins more connections than wait for the rest of
// their hellos: those that made way are counted.
func TestQUICThatNeverGoesOn(t *testing.T) {
	t.Parallel()
	var begin trace
	for _, s := range delivered["quic"].trace(t, "aioquic") {
		if len(begin) == 0 && s.data[payload(s.data)]&0xf0 == 0xc0 {
			begin = append(begin, s)
		}
	}
	if len(begin) == 0 {
		t.Fatal("no Initial in the capture")
	}
	f := begin.apart()[0]
	f.body = slices.Clone(f.body)
	f.body[100] ^= 1 // it cannot be opened, and what follows is waited for
	p := New(Config{MaxFlows: 1024})
	for i := range uint32(300) {
		s := f.with(f.body, 0, true)
		move(s.data, i)
		p.Packet(s.at, packet.LinkEthernet, s.data, len(s.data))
	}
	p.Cut(time.Unix(0, f.at))
	for _, c := range p.Counters().Parsers {
		if c.Name == "quic" && (c.Recognised != 300 || c.Pushed != 300-256) {
			t.Errorf("%+v", c)
		}
	}
}

func TestDNSOverTCP(t *testing.T) {
	t.Parallel()
	framed := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	var up, down []byte
	var want []string
	for i := range 20 {
		name := fmt.Sprintf("host%d.example.com", i)
		up = append(up, framed(packettest.Query(uint16(i), name, 1))...)
		if i == 10 { // larger than what is kept: passed over
			down = append(down, framed(make([]byte, 40_000))...)
		}
		down = append(down, framed(packettest.Answer(uint16(i), name, 1, [4]byte{192, 0, 2, byte(i)}))...)
		want = append(want, fmt.Sprintf("%s true [192.0.2.%d]", name, i))
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		k := newTalk(Config{}, 53)
		k.next[1] = 1000
		for i, part := range []struct {
			up bool
			b  []byte
		}{{true, up}, {false, down}} {
			seq := uint32(i * 1000)
			for _, b := range pieces(rng, part.b, []int{3, 60, 1400}[seed%3]) {
				k.tcp(part.up, seq, b)
				if rng.IntN(10) == 0 {
					k.tcp(part.up, seq, b) // sent again
				}
				seq += uint32(len(b))
			}
		}
		r := k.end(t)
		var got []string
		for _, d := range r.DNS {
			got = append(got, fmt.Sprintf("%s %v %v", d.Name, d.Answered, d.Answers))
			if d.Proto != network.TCP || d.Client != k.c.Addr() || d.Port != 40000 {
				t.Errorf("%+v", d)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

func TestUnansweredQuestionCrossesReports(t *testing.T) {
	t.Parallel()
	k := newTalk(Config{}, 53)
	q := packettest.Frame{Src: k.c, Dst: k.s, Proto: 17, Payload: packettest.Query(1, "slow.example.com", 1)}
	k.frame(q)
	asked := k.at
	if r := k.p.Cut(time.Unix(0, k.at)); len(r.DNS) != 0 || len(r.Flows) != 1 || r.Flows[0].App != "dns" {
		t.Errorf("%+v", r)
	}
	k.frames = 0
	k.at += 2e9
	k.frame(packettest.Frame{Src: k.s, Dst: k.c, Proto: 17, Payload: packettest.Answer(1, "slow.example.com", 1)})
	r := k.end(t)
	if len(r.DNS) != 1 || r.DNS[0].Latency != time.Duration(k.at-asked) || !r.DNS[0].Answered {
		t.Errorf("%+v", r.DNS)
	}
}

func TestCapsOfAReport(t *testing.T) {
	t.Parallel()
	k := newTalk(Config{MaxRows: 10, MaxText: 1 << 20}, 53)
	hello := packettest.ClientHello("a.example")
	for i := range 40 {
		src := netip.AddrPortFrom(k.c.Addr(), uint16(2000+i))
		k.frame(packettest.Frame{Src: src, Dst: k.s, Proto: 17, Payload: packettest.Query(1, "a", 1)})
		k.frame(packettest.Frame{Src: src, Dst: netip.AddrPortFrom(k.s.Addr(), 443), Proto: 6, Flags: 16, Payload: hello})
	}
	r := k.end(t)
	if d, h := k.parser("dns"), k.parser("tls"); len(r.DNS) != 10 || d.LeftOut != 30 || len(r.TLS) != 10 || h.LeftOut != 30 || h.Transactions != 10 {
		t.Errorf("%d and %d records, %+v, %+v", len(r.DNS), len(r.TLS), d, h)
	}
	k = newTalk(Config{MaxText: 1000}, 53)
	for i := range 40 {
		k.frame(packettest.Frame{Src: k.c, Dst: k.s, Proto: 17, Payload: packettest.Query(uint16(i), strings.Repeat("a", 50)+fmt.Sprint(i+10), 1)})
	}
	r = k.end(t)
	if c := k.parser("dns"); len(r.DNS) != 19 || c.LeftOut != 21 {
		t.Errorf("%d records, %+v", len(r.DNS), c)
	}
}

// A row that a parser keeps for another one until a report is closed counts for
// that one.
func TestRowsCountForTheirProtocol(t *testing.T) {
	t.Parallel()
	k := newTalk(Config{}, 53)
	for port, n := range map[uint16]int{53: 1, 5355: 2, 137: 3} {
		for i := range n { // nobody answers
			k.frame(packettest.Frame{Src: netip.AddrPortFrom(k.c.Addr(), uint16(3000+i)), Dst: netip.AddrPortFrom(k.s.Addr(), port), Proto: 17,
				Payload: packettest.Query(uint16(i), "printer", 1)})
		}
	}
	modbus := netip.AddrPortFrom(k.s.Addr(), 502)
	k.frame(packettest.Frame{Src: k.c, Dst: modbus, Proto: 6, Flags: 24, Seq: 1, Payload: []byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1}})
	k.frame(packettest.Frame{Src: modbus, Dst: k.c, Proto: 6, Flags: 24, Seq: 1, Payload: []byte{0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 5}})
	r := k.end(t)
	got := map[string]uint64{}
	for _, name := range []string{"dns", "llmnr", "nbns", "modbus", "dnp3"} {
		got[name] = k.parser(name).Transactions
	}
	want := map[string]uint64{"dns": 1, "llmnr": 2, "nbns": uint64(len(r.DNS) - 3), "modbus": 1, "dnp3": 0}
	if diff := cmp.Diff(want, got); diff != "" || len(r.Industrial) != 1 {
		t.Errorf("%s\n%+v\n%+v", diff, r.DNS, r.Industrial)
	}
}

// TestLedgerTerms brings each term about.
func TestLedgerTerms(t *testing.T) {
	t.Parallel()
	k := newTalk(Config{}, 9999)
	for i := range 3000 { // more flows than the table and its spill take
		k.frame(packettest.Frame{Src: netip.AddrPortFrom(k.c.Addr(), uint16(1024+i)), Dst: k.s, Proto: 17})
	}
	if !k.p.Due() {
		t.Error("a report is not due")
	}
	arp := packettest.ARP()
	k.p.Packet(k.at, packet.LinkEthernet, arp, 60)
	k.p.Packet(k.at, packet.LinkEthernet, arp[:20], 20)
	k.p.Packet(k.at, 250, arp, 42)
	k.p.ReceivedKernelDrops(5)
	k.frames += 3 + 5
	r := k.end(t)
	l := r.Interfaces[0]
	want := network.Ledger{Received: 3008, Summarised: 1281, DroppedKernel: 5, DroppedPipeline: 1720, Malformed: 2, Bytes: 3000*42 + 122}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	c := k.p.Counters()
	if c.EtherTypes[0x806] != 1 || c.Malformed[packet.ShortARP] != 1 || c.Malformed[packet.UnsupportedLink] != 1 || c.Flows.Refused != 1720 {
		t.Errorf("%+v", c)
	}
}

// TestNoAllocations sends packets of flows that are known.
func TestNoAllocations(t *testing.T) {
	k := newTalk(Config{}, 443)
	var frames [][]byte
	add := func(f packettest.Frame) { frames = append(frames, f.Bytes()) }
	for i := range uint16(50) {
		src := netip.AddrPortFrom(k.c.Addr(), 2000+i)
		add(packettest.Frame{Src: src, Dst: k.s, Proto: 6, Flags: 16, Payload: make([]byte, 500)})
		add(packettest.Frame{Src: src, Dst: k.s, Proto: 17, Payload: make([]byte, 500)})
		add(packettest.Frame{VLANs: []uint16{4}, Src: src, Dst: k.s, Proto: 1})
		add(packettest.Frame{Src: src, Dst: netip.AddrPortFrom(k.s.Addr(), 53), Proto: 17, Payload: packettest.Query(i, "www.example.com", 1)})
		frames = append(frames, packettest.ARP())
	}
	if n := testing.AllocsPerRun(50, func() {
		for _, b := range frames {
			k.p.Packet(1e9, packet.LinkEthernet, b, len(b))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzPackets sends a capture of hostile bytes through everything: the ledger
// adds up whatever comes.
func FuzzPackets(f *testing.F) {
	var seed []byte
	for i, m := range packettest.Mix(3, 60) {
		if len(m.Data) < 150 {
			seed = append(binary.BigEndian.AppendUint16(seed, uint16(len(m.Data))), m.Data...)
		}
		if i%10 == 9 {
			f.Add(uint16(1), seed)
			seed = nil
		}
	}
	p := New(Config{MaxFlows: 1024}) // one for all, which Finish leaves empty
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		n := uint64(0)
		for len(b) >= 2 {
			size := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			p.Packet(int64(n)*1e8, packet.LinkType(link), b[2:2+size], size)
			b = b[2+size:]
			n++
		}
		r := p.Finish(time.Unix(1000, 0))
		if l := r.Interfaces[0]; !l.Balanced() || l.Received != n || p.Counters().Panicked != 0 {
			t.Errorf("%d packets, %+v, %+v", n, l, p.Counters())
		}
	})
}
