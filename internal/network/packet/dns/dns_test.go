package dns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/dns"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

func answers(m *dns.Message) (out []string) {
	m.Answers(func(b []byte) { out = append(out, string(b)) })
	return out
}

func name(m *dns.Message) string { return string(m.Name.AppendText(nil)) }

// TestAgainstLibrary reads messages that another implementation wrote, with
// compression.
func TestAgainstLibrary(t *testing.T) {
	t.Parallel()
	q := new(mdns.Msg)
	q.SetQuestion("WWW.Example.COM.", mdns.TypeANY)
	q.Id = 4711
	r := new(mdns.Msg)
	r.SetReply(q)
	r.Rcode = mdns.RcodeNameError
	r.Compress = true
	for _, s := range []string{
		"www.example.com. 60 IN CNAME web.example.com.", "web.example.com. 60 IN A 192.0.2.1",
		"web.example.com. 60 IN AAAA 2001:db8::1", "example.com. 60 IN MX 10 mail.example.com.",
		"example.com. 60 IN NS ns1.example.com.", "_x._tcp.example.com. 60 IN SRV 1 2 443 srv.example.com.",
		"example.com. 60 IN TXT \"shown \" \"in two\"", "1.2.0.192.in-addr.arpa. 60 IN PTR web.example.com.",
		"example.com. 60 IN HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1", "example.com. 60 IN SVCB 0 svc.example.com.",
		"example.com. 60 IN SVCB 1 svc.example.com. mandatory=alpn alpn=x key667=\"z\"",
		"example.com. 60 IN SOA ns1.example.com. host.example.com. 2026030405 1 2 3 4",
	} {
		rr, err := mdns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		r.Answer = append(r.Answer, rr)
	}
	b, err := r.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var m dns.Message
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	if m.ID != 4711 || !m.Response || m.RCode != 3 || m.Type != 255 || m.Class != 1 || name(&m) != "www.example.com" {
		t.Errorf("%+v %s", m, name(&m))
	}
	want := []string{"web.example.com", "192.0.2.1", "2001:db8::1", "10 mail.example.com", "ns1.example.com",
		"1 2 443 srv.example.com", `"shown in two"`, "web.example.com", "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1",
		"0 svc.example.com", "1 svc.example.com mandatory alpn=x key667", "ns1.example.com host.example.com 2026030405"}
	if diff := cmp.Diff(want, answers(&m)); diff != "" {
		t.Error(diff)
	}
}

// raw makes a message with one question whose name is given in wire form.
func raw(wire string, rest ...byte) []byte {
	b := append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wire...)
	return append(append(b, 0, 1, 0, 1), rest...)
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3)
	for title, c := range map[string]struct {
		msg  []byte
		want string
		err  error
	}{
		"root":                    {raw("\x00"), ".", nil},
		"case":                    {raw("\x03WwW\x02Ab\x00"), "www.ab", nil},
		"odd bytes":               {raw("\x05a.b\\ \x02\xff\x00\x00"), `a\046b\092\032.\255\000`, nil},
		"255 bytes":               {raw(long + "\x3d" + strings.Repeat("b", 61) + "\x00"), strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61), nil},
		"256 bytes":               {raw(long + "\x3e" + strings.Repeat("b", 62) + "\x00"), "", dns.ErrName},
		"label type 01":           {raw("\x41a\x00"), "", dns.ErrName},
		"pointer to itself":       {raw("\xc0\x0c"), "", dns.ErrName},
		"pointer forward":         {raw("\xc0\x0e\x00"), "", dns.ErrName},
		"label past the end":      {[]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09abc"), "", dns.ErrShort},
		"no end":                  {[]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03abc"), "", dns.ErrShort},
		"half a pointer":          {[]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0"), "", dns.ErrShort},
		"half a header":           {make([]byte, 11), "", dns.ErrShort},
		"no type":                 {[]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01"), "", dns.ErrShort},
		"no question":             {make([]byte, 12), "", dns.ErrNothing},
		"pointer into the header": {raw("\xc0\x04"), "", dns.ErrShort},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			if title == "pointer into the header" { // bytes 4.. are 0,1: the root
				c.err, c.want = nil, "."
			}
			var m dns.Message
			err := m.Parse(c.msg)
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err == nil && name(&m) != c.want {
				t.Errorf("%q, want %q", name(&m), c.want)
			}
		})
	}
}

// TestPointerHops follows chains of pointers, each before the one before.
func TestPointerHops(t *testing.T) {
	t.Parallel()
	for hops, good := range map[int]bool{1: true, 32: true, 33: false, 120: false} {
		// The chain lies in the data of a first answer (type 0): the root, then
		// pointers, each to the one before; the second answer's CNAME points to
		// the end of the chain.
		b := packettest.Query(1, "q", 5)
		b[2], b[7] = 0x84, 2
		chain := []byte{0}
		base := len(b) + 11
		at := base
		for range hops - 1 {
			next := base + len(chain)
			chain = append(chain, 0xc0|byte(at>>8), byte(at))
			at = next
		}
		b = append(append(b, 0, 0, 0, 0, 1, 0, 0, 0, 0, byte(len(chain)>>8), byte(len(chain))), chain...)
		b = append(b, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 4, 1, 'x', 0xc0|byte(at>>8), byte(at))
		var m dns.Message
		if err := m.Parse(b); err != nil {
			t.Fatal(err)
		}
		if got := answers(&m); (len(got) == 1 && got[0] == "x") != good {
			t.Errorf("%d hops: %q", hops, got)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	var addrs [][4]byte
	for i := range 40 {
		addrs = append(addrs, [4]byte{192, 0, 2, byte(i)})
	}
	var m dns.Message
	if err := m.Parse(packettest.Answer(1, "a.b", 1, addrs...)); err != nil {
		t.Fatal(err)
	}
	if got := answers(&m); len(got) != dns.MaxAnswers || got[15] != "192.0.2.15" {
		t.Errorf("%d answers: %v", len(got), got)
	}
	// 600 records that show nothing, then an address: too far.
	b := packettest.Answer(1, "a.b", 1)
	for range 600 {
		b = append(b, 0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0)
	}
	b = append(b, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)
	b[6], b[7] = 601>>8, 601&255
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	if got := answers(&m); got != nil {
		t.Errorf("walked 601 records: %v", got)
	}
	// A message that was cut keeps its question and the answers before the cut.
	b = packettest.Answer(1, "a.b", 1, addrs[:3]...)
	if err := m.Parse(b[:len(b)-1]); err != nil || name(&m) != "a.b" || len(answers(&m)) != 2 {
		t.Errorf("%v %s %v", err, name(&m), answers(&m))
	}
}

// TestLinear reads messages that get longer, on input made to be slow: names that are long chains of pointers.
func TestLinear(t *testing.T) {
	build := func(n int) []byte {
		b := packettest.Answer(1, "a.b", 1)
		at := 12
		for i := range n {
			next := len(b)
			b = append(b, 1, 'a', 0xc0|byte(at>>8), byte(at), 0, 16, 0, 1, 0, 0, 0, 0, 0, 0)
			if i%30 != 0 && next < 1<<14 {
				at = next
			} else {
				at = 12
			}
		}
		b[6], b[7] = byte(n>>8), byte(n)
		return b
	}
	messages := map[int][]byte{}
	for _, n := range []int{100, 200, 400} {
		messages[n] = build(n)
	}
	var m dns.Message
	parsetest.Linear(t, 100, func(n int) {
		if err := m.Parse(messages[n]); err != nil {
			t.Fatal(err)
		}
		m.Answers(func([]byte) {})
	})
}

// pair is what a Matcher emits, in text.
func watch(out *[]string) *dns.Matcher {
	return dns.NewMatcher(func(q *dns.Question, a *dns.Message, at int64) {
		s := fmt.Sprintf("%s port %d at %d", q.Name.AppendText(nil), q.Port, q.Time)
		if a != nil {
			s += fmt.Sprintf(" answered at %d: %v", at, answers(a))
		}
		*out = append(*out, s)
	})
}

var client, server = packet.Addr{Lo: 1}, packet.Addr{Lo: 2}

func parsed(t testing.TB, b []byte) *dns.Message {
	t.Helper()
	m := new(dns.Message)
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatcher(t *testing.T) {
	t.Parallel()
	var got []string
	m := watch(&got)
	ask := func(at int64, id uint16, n string, typ uint16) {
		m.Add(at, client, server, 1000, 53, 17, parsed(t, packettest.Query(id, n, typ)))
	}
	answer := func(at int64, id uint16, n string, typ uint16) {
		m.Add(at, server, client, 53, 1000, 17, parsed(t, packettest.Answer(id, n, typ, [4]byte{1, 2, 3, 4})))
	}
	ask(1, 7, "a", 1)
	ask(2, 7, "a", 28) // same id, other type
	ask(3, 7, "a", 1)  // sent again
	answer(5, 7, "A", 1)
	answer(6, 7, "a", 28)
	answer(7, 9, "forged", 1)
	ask(8, 1, "never", 1)
	m.Expire(8 + int64(time.Hour))
	ask(9, 2, "late", 1)
	m.Flush()
	m.Flush()
	want := []string{"a port 1000 at 1 answered at 5: [1.2.3.4]", "a port 1000 at 2 answered at 6: [1.2.3.4]",
		"forged port 1000 at 7 answered at 7: [1.2.3.4]", "never port 1000 at 8", "late port 1000 at 9"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMatcherIsBounded asks a million questions that nobody answers.
func TestMatcherIsBounded(t *testing.T) {
	n := 0
	m := dns.NewMatcher(func(*dns.Question, *dns.Message, int64) { n++ })
	q := parsed(t, packettest.Query(1, "a", 1))
	if allocs := testing.AllocsPerRun(1, func() {
		for i := range 500_000 {
			q.ID = uint16(i)
			m.Add(int64(i), packet.Addr{Lo: uint64(i >> 16)}, server, 1000, 53, 17, q)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	m.Flush()
	// AllocsPerRun runs it twice; what still waited the second time was the same question.
	if n < 500_000 || n > 1_000_000 || m.Pushed() < 480_000 {
		t.Errorf("%d questions came out, %d pushed", n, m.Pushed())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packettest.Query(1, "www.example.com", 28))
	f.Add(packettest.Answer(1, "www.example.com", 1, [4]byte{1, 2, 3, 4}, [4]byte{5, 6, 7, 8}))
	f.Add(raw("\xc0\x0c"))
	f.Add(raw("\x01a\xc0\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m dns.Message
		if m.Parse(b) != nil {
			return
		}
		if n := name(&m); len(n) > 4*255 || strings.ContainsFunc(n, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("name %q", n)
		}
		if a := answers(&m); len(a) > dns.MaxAnswers {
			t.Errorf("%d answers", len(a))
		}
	})
}
