package snmp_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/snmp"
)

func conversations(t testing.TB) []parsetest.Conversation {
	return append(parsetest.Conversations(t, "testdata/snmp.pcap", network.UDP, snmp.Port),
		parsetest.Conversations(t, "testdata/snmp.pcap", network.UDP, snmp.PortTrap)...)
}

// TestCaptures also sees that no community string leaves the parser.
func TestCaptures(t *testing.T) {
	t.Parallel()
	p, out := snmp.New(), parsetest.NewOut()
	for _, c := range conversations(t) {
		if err := parsetest.RunDatagrams(p, out, c); err != nil {
			t.Errorf("%v: %v", c.Session, err)
		}
	}
	got := parsetest.Rows(t, out)
	parsetest.Compare(t, "testdata/snmp.pcap", got+"\n")
	raw, err := os.ReadFile("testdata/snmp.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"sesame", "public", "wrong"} {
		if !bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%q is not in the capture: the test shows nothing", secret)
		}
		if strings.Contains(got, secret) {
			t.Errorf("%q is in the records", secret)
		}
	}
}

// tlv is an element of BER.
func tlv(tag byte, parts ...[]byte) []byte {
	v := bytes.Join(parts, nil)
	if len(v) < 0x80 {
		return append([]byte{tag, byte(len(v))}, v...)
	}
	return append([]byte{tag, 0x82, byte(len(v) >> 8), byte(len(v))}, v...)
}

func number(n byte) []byte { return tlv(2, []byte{n}) }

func get(object []byte) []byte {
	return tlv(0x30, number(1), tlv(4, []byte("public")),
		tlv(0xa0, number(7), number(0), number(0), tlv(0x30, tlv(0x30, tlv(6, object), tlv(5)))))
}

func TestObjects(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		"\x2b\x06\x01": "1.3.6.1", "\x00": "0.0", "\x88\x37": "2.999", "\x2b\x8f\xff\xff\xff\x7f": "1.3.4294967295", "": "",
		"\x2b\x81": "1.3", "\x2b\xff\xff\xff\xff\xff\xff\x7f": "1.3",
	} {
		out := parsetest.NewOut()
		if err := snmp.New().Datagram(out, parse.Client, get([]byte(object))); err != nil {
			t.Fatalf("%q: %v", object, err)
		}
		if s := out.Records.SNMP[0]; s.Object != want || s.Operation != "get" || s.Version != "2c" || s.Community != "default" {
			t.Errorf("%q: %+v", object, s)
		}
	}
}

// TestCut: a message that is cut anywhere is refused, and nothing is kept.
func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range conversations(t) {
		for _, chunk := range c.Chunks {
			for n := range chunk.Data {
				out := parsetest.NewOut()
				if err := snmp.New().Datagram(out, parse.Client, chunk.Data[:n]); err == nil || len(out.Records.SNMP) > 0 {
					t.Fatalf("cut at %d of %d: %v, %+v", n, len(chunk.Data), err, out.Records.SNMP)
				}
			}
		}
	}
}

func TestLengths(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"\x30\x84\xff\xff\xff\xff\x02\x01\x00", "\x30\x80\x02\x01\x00\x00\x00", "\x30\x85\x00\x00\x00\x00\x03\x02\x01\x00"} {
		if err := snmp.New().Datagram(parsetest.NewOut(), parse.Client, []byte(b)); err != parse.ErrNot { //nolint:errorlint // the sentinel itself
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	p, out := snmp.New(), parse.NewOut(1000, 10_000)
	for i := range 1_000_000 {
		_ = p.Datagram(out, parse.Client, get([]byte{0x2b, byte(i>>14)&0x7f | 0x80, byte(i>>7)&0x7f | 0x80, byte(i) & 0x7f}))
	}
	if n := len(out.Records.SNMP); n > 1000 || uint64(n)+out.Over != 1_000_000 {
		t.Errorf("%d rows, %d over", n, out.Over)
	}
}

func TestLinear(t *testing.T) {
	p, out := snmp.New(), parsetest.NewOut()
	parsetest.Linear(t, 2000, func(n int) { _ = p.Datagram(out, parse.Client, get(bytes.Repeat([]byte{0x81}, n))) })
}

func FuzzSNMP(f *testing.F) {
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return snmp.New() }, conversations(f)...)
}
