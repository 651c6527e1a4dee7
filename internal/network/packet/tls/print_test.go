package tls_test

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network/packet/tls"
)

// addrs compares addresses as values.
var addrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func unhex(list string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(list, ",", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// offer is a ClientHello that offers cipher suites and extensions, both hex
// with commas; signature algorithms and protocols stand in theirs.
func offer(ciphers, extensions, algorithms string, alpn ...string) []byte {
	body := "\x03\x03" + strings.Repeat("r", 32) + vec(1, "") + vec(2, unhex(ciphers)) + vec(1, "\x00")
	var exts string
	for e := range strings.SplitSeq(extensions, ",") {
		typ, err := strconv.ParseUint(e, 16, 16)
		if err != nil {
			panic(err)
		}
		data := ""
		switch typ {
		case 0:
			data = vec(2, "\x00"+vec(2, "example.com"))
		case 13:
			data = vec(2, unhex(algorithms))
		case 16:
			for _, a := range alpn {
				data += vec(1, a)
			}
			data = vec(2, data)
		case 43:
			data = vec(1, "\x1a\x1a\x03\x04\x03\x03")
		}
		exts += ext(uint16(typ), data)
	}
	return []byte("\x01\x00" + vec(2, body+vec(2, exts)))
}

// The lists of the example in FoxIO's description of JA4 (technical_details/
// JA4.md at github.com/FoxIO-LLC/ja4), which has the fingerprint in its sorted
// form; here they stand unsorted and with GREASE between. The two hashes are those
// of the published fingerprint, and the other rows follow the rules of that page
// (transport, name, version, protocol, nothing to hash, more than 99).
const (
	foxCiphers    = "1a1a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
	foxExtensions = "0a0a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,2a2a"
	foxAlgorithms = "0403,0804,0401,0503,0805,0501,0806,0601"
)

func TestJA4(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hello     []byte
		transport byte
		want      string
	}{
		"published example": {offer(foxCiphers, foxExtensions, foxAlgorithms, "h2", "http/1.1"), tls.OverTCP, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		"over QUIC":         {offer(foxCiphers, foxExtensions, foxAlgorithms, "h3"), tls.OverQUIC, "q13d1516h3_8daaf6152771_e5627efa2ab1"},
		"no name":           {offer(foxCiphers, "0010", "", "http/1.1"), tls.OverTCP, "t12i1501h1_8daaf6152771_000000000000"},
		"no suites":         {offer("", "0000", ""), tls.OverTCP, "t12d000100_000000000000_000000000000"},
		"odd protocol":      {offer("", "0000,0010", "", "\x30\xab"), tls.OverTCP, "t12d00023b_000000000000_000000000000"},
		"of four bytes":     {offer("", "0000,0010", "", "\x30\xab\xcd\x31"), tls.OverTCP, "t12d000201_000000000000_000000000000"},
		"of one letter":     {offer("", "0000,0010", "", "x"), tls.OverTCP, "t12d0002xx_000000000000_000000000000"},
		"more than 99":      {offer(strings.Repeat("1301,", 150), "0000", ""), tls.OverTCP, "t12d990100_"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h tls.Hello
			var p tls.Printer
			if err := h.Message(c.hello); err != nil {
				t.Fatal(err)
			}
			if got := string(p.JA4(&h, c.transport)); !strings.HasPrefix(got, c.want) || len(got) != 36 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestJA3 has the example of the description of JA3
// (https://github.com/salesforce/ja3, README).
func TestJA3(t *testing.T) {
	t.Parallel()
	body := "\x03\x01" + strings.Repeat("r", 32) + vec(1, "") +
		vec(2, unhex("002f,0035,0005,000a,c009,c00a,c013,c014,0032,0038,0013,0004")) + vec(1, "\x00") +
		vec(2, ext(0, vec(2, "\x00"+vec(2, "a"))), ext(10, vec(2, unhex("0017,0018,0019"))), ext(11, vec(1, "\x00")))
	var h tls.Hello
	var p tls.Printer
	if err := h.Message([]byte("\x01\x00" + vec(2, body))); err != nil {
		t.Fatal(err)
	}
	if got, want := string(p.JA3(&h)), "ada70206e40642a3e4461f35503241d5"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	many := "\x03\x01" + strings.Repeat("r", 32) + vec(1, "") + vec(2, strings.Repeat("\x13\x01", 2000)) + vec(1, "\x00")
	if err := h.Message([]byte("\x01\x00" + vec(2, many))); err != nil || p.JA3(&h) != nil || p.JA4(&h, tls.OverTCP) != nil {
		t.Errorf("two thousand cipher suites: %v", err)
	}
}
