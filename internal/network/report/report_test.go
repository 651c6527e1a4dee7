package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

var end = time.Date(2026, 3, 4, 5, 6, 7, 890_123_000, time.UTC)

func sample(seed uint64, size reporttest.Size) *network.Report {
	return reporttest.New(seed, network.Identity{Tap: "tap-1", Boot: reporttest.Boot(seed), Sequence: seed + 1}, end, size)
}

var same = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func roundTrip(t *testing.T, r *network.Report) []byte {
	t.Helper()
	b, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got, same); diff != "" {
		t.Fatalf("what was decoded differs (-sent +got):\n%s", diff)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		r := sample(seed, reporttest.Size{Flows: rng.IntN(300), DNS: rng.IntN(100), TLS: rng.IntN(50)})
		if seed%3 == 0 {
			r.Gap = &network.Gap{Boot: reporttest.Boot(99), Sequence: 17, From: end.Add(-time.Hour), To: end.Add(-time.Minute)}
		}
		roundTrip(t, r)
	}
}

// TestRoundTripOdd has the values at the ends of each field's range.
func TestRoundTripOdd(t *testing.T) {
	t.Parallel()
	most := network.Flow{
		Start: time.UnixMicro(math.MaxInt64 / 4).UTC(), End: time.UnixMicro(1).UTC(), Source: netip.MustParseAddr("::ffff:1.2.3.4"), Dest: netip.IPv6Unspecified(),
		SrcPort: math.MaxUint16, DstPort: math.MaxUint16, Proto: 255, VLAN: 4095, InnerVLAN: math.MaxUint16,
		SrcMAC: [6]byte{255, 255, 255, 255, 255, 255}, DstMAC: [6]byte{1}, SrcPkts: math.MaxUint64, DstPkts: math.MaxUint64,
		SrcBytes: math.MaxUint64, DstBytes: math.MaxUint64, SrcFlags: 255, DstFlags: 255, State: network.TCPRejected, App: strings.Repeat("é", 512), Ended: true,
		Tunnel: 255, TunnelID: math.MaxUint32, SrcTTL: 255, DstTTL: 255, ClientRTT: maxTrip, ServerRTT: maxTrip,
		SrcRetrans: math.MaxUint32, DstRetrans: math.MaxUint32, SrcZeroWin: math.MaxUint32, DstZeroWin: math.MaxUint32, Fingerprint: "64240_2-1-3-1-1-4_1460_8",
	}
	none := network.Flow{Start: time.Time{}, End: time.Time{}, Source: netip.IPv4Unspecified()}
	r := &network.Report{Identity: network.Identity{Sequence: math.MaxUint64}, Start: time.Time{}, End: end, Seed: math.MaxUint16, Flows: []network.Flow{most, none, most}}
	r.Health.SpoolDropped = math.MaxUint64
	r.Interfaces = []network.Ledger{{}, {Interface: "lo", Received: math.MaxUint64}}
	roundTrip(t, r)
	roundTrip(t, &network.Report{Start: end, End: end})
}

// TestClean shows that what packets hold never makes a report that no node
// takes.
func TestClean(t *testing.T) {
	t.Parallel()
	r := &network.Report{Start: end, End: end,
		DNS: []network.DNSQuery{{Time: end, Name: "a\x00b\xff", Latency: -time.Second, Answers: make([]string, 20)}, {Time: end, Name: strings.Repeat("é", 600), Latency: 5 * time.Hour}},
		TLS: []network.TLSHello{{Time: end, SNI: strings.Repeat("\xff", 4000), ALPN: []string{"\x0a\x0a", "\xfa\xfa"}}}}
	b, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if want := "a\uFFFDb\uFFFD"; got.DNS[0].Name != want || got.DNS[0].Latency != 0 || len(got.DNS[0].Answers) != MaxAnswers {
		t.Errorf("the query is %+v", got.DNS[0])
	}
	if n := got.DNS[1].Name; n != strings.Repeat("é", 512) || got.DNS[1].Latency != time.Hour {
		t.Errorf("the name has %d bytes, the latency is %s", len(n), got.DNS[1].Latency)
	}
	if alpn := got.TLS[0].ALPN; alpn[0] != "\n\n" || alpn[1] != "\uFFFD" {
		t.Errorf("ALPN is %q", alpn)
	}
}

func TestJSONForm(t *testing.T) {
	t.Parallel()
	r := sample(1, reporttest.Size{Flows: 20, DNS: 5, TLS: 5, Records: 3})
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got network.Report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &got, same); diff != "" {
		t.Errorf("the JSON form loses something (-sent +got):\n%s", diff)
	}
}

// wrap compresses a message as an encoder does, whatever it holds.
func wrap(t testing.TB, body []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(body, append([]byte(magic), version))
}

// bomb is a small frame that expands to many zeros. Streamed, it does not say
// how long it is.
func bomb(t testing.TB, size int, streamed bool) []byte {
	t.Helper()
	if !streamed {
		return wrap(t, make([]byte, size))
	}
	var b bytes.Buffer
	b.WriteString(magic)
	b.WriteByte(version)
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); size > 0; size -= len(chunk) {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, err := Encode(sample(3, reporttest.Size{Flows: 50, DNS: 20, TLS: 10}))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 0x10
	newer := bytes.Clone(good)
	newer[header-1] = 9
	flows := func(columns ...byte) []byte { return wrap(t, appendBytes(nil, fieldFlows, columns)) }
	names := func(lens, blob string) []byte {
		return wrap(t, appendBytes(appendBytes(nil, fieldNameLengths, []byte(lens)), fieldNames, []byte(blob)))
	}
	tests := []struct {
		name string
		in   []byte
		kind errs.Kind
		text string
	}{
		{"nothing", nil, errs.Invalid, "no report"},
		{"garbage", []byte("GET / HTTP/1.1\r\n"), errs.Invalid, "no report"},
		{"newer version", newer, errs.Invalid, "version 9"},

		{"header only", good[:header], errs.Invalid, "cut off"},
		{"many bombs", append(bomb(t, 24<<20, true), bytes.Repeat(bomb(t, 24<<20, true)[header:], 100)...), errs.TooLarge, "expands"},
		{"truncated", good[:len(good)-20], errs.Invalid, "cut off"},
		{"flipped bit", flipped, errs.Invalid, "damaged"},
		{"too long", make([]byte, 8<<20+1), errs.TooLarge, "8388608"},
		{"bomb", bomb(t, 1<<30, false), errs.TooLarge, "expands"},
		{"streamed bomb", bomb(t, 1<<30, true), errs.TooLarge, "expands"},
		{"not protobuf", wrap(t, []byte{0xff, 0xff, 0xff}), errs.Invalid, "cut off"},
		{"rows over limit", flows(8, 0xc1, 0x9a, 0x0c), errs.TooLarge, "200001 flows"},
		{"rows without columns", flows(8, 3, 0x12, 1, 5), errs.Invalid, "column ends"},
		{"column too long", flows(8, 1, 0x12, 2, 5, 5), errs.Invalid, "more values"},
		{"column cut off", flows(8, 2, 0x12, 2, 5, 0x80), errs.Invalid, "cut off"},
		{"address out of range", flows(8, 1, 0x22, 1, 1), errs.Invalid, "out of range"},
		{"port out of range", flows(8, 1, 0x32, 3, 0x80, 0x80, 0x04), errs.Invalid, "out of range"},
		{"name out of range", flows(8, 1, 0xa2, 1, 1, 1), errs.Invalid, "out of range"},
		{"NUL in a name", names("\x03", "a\x00b"), errs.Invalid, "NUL"},
		{"name not UTF-8", names("\x02", "\xff\xfe"), errs.Invalid, "UTF-8"},
		{"name longer than the names", names("\x04", "abc"), errs.Invalid, "longer"},
		{"name of 1025 bytes", names("\x81\x08", strings.Repeat("a", 1025)), errs.Invalid, "1024"},
		{"too many names", names(strings.Repeat("\x01", 1_600_001), "a"), errs.TooLarge, "800000 names"},
		{"too many interfaces", wrap(t, bytes.Repeat([]byte{0x42, 0}, MaxInterfaces+1)), errs.TooLarge, "interfaces"},
		{"odd dictionary", wrap(t, appendBytes(nil, fieldIPv6, []byte("abc"))), errs.Invalid, "odd length"},
		{"long tap", wrap(t, appendString(nil, fieldTap, strings.Repeat("a", 1025))), errs.TooLarge, "1025"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode(tc.in, DefaultLimits())
			if errs.KindOf(err) != tc.kind || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("the error is %v %q, want %v with %q", errs.KindOf(err), err, tc.kind, tc.text)
			}
		})
	}
}

func TestEncodeTooMuch(t *testing.T) {
	t.Parallel()
	r := &network.Report{Flows: make([]network.Flow, DefaultLimits().Rows+1)}
	if _, err := Encode(r); !errs.Is(err, errs.TooLarge) {
		t.Errorf("200,001 flows give %v", err)
	}
	if _, err := Encode(&network.Report{Interfaces: make([]network.Ledger, MaxInterfaces+1)}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("too many interfaces give %v", err)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	r := sample(5, reporttest.Size{Flows: 25, DNS: 7, TLS: 31})
	r.Gap = &network.Gap{Boot: "b"}
	parts := Split(r, 10)
	if len(parts) != 4 {
		t.Fatalf("%d parts, want 4", len(parts))
	}
	var sum network.Report
	for i, p := range parts {
		if (i == 0) != (p.Gap != nil) || (i == 0) != (len(p.Interfaces) == 1) {
			t.Errorf("part %d has gap %v and %d ledgers", i, p.Gap, len(p.Interfaces))
		}
		sum.Flows = append(sum.Flows, p.Flows...)
		sum.DNS = append(sum.DNS, p.DNS...)
		sum.TLS = append(sum.TLS, p.TLS...)
	}
	if diff := cmp.Diff([]any{r.Flows, r.DNS, r.TLS}, []any{sum.Flows, sum.DNS, sum.TLS}, same); diff != "" {
		t.Error(diff)
	}
	if n := len(Split(&network.Report{}, 10)); n != 1 {
		t.Errorf("an empty report has %d parts", n)
	}
}

// FuzzDecode shows that no input makes Decode fail otherwise than by an error
// with a kind, and that what it accepts it can write again.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(4) {
		b, err := Encode(sample(seed, reporttest.Size{Flows: int(seed) * 5, DNS: int(seed) * 3, TLS: int(seed) * 2, Records: int(seed)}))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[header:], false)
		d, err := zstd.NewReader(nil)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := d.DecodeAll(b[header:], nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, true)
	}
	limits := Limits{Compressed: 1 << 20, Decoded: 4 << 20, Rows: 2000, String: 256}
	f.Fuzz(func(t *testing.T, in []byte, raw bool) {
		b := append([]byte(magic), version)
		b = append(b, in...)
		if raw { // reach behind the compression
			b = wrap(t, in)
		}
		r, err := Decode(b, limits)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.TooLarge {
				t.Fatalf("the error %q has kind %v", err, k)
			}
			return
		}
		again, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Decode(again, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, second, same); diff != "" {
			t.Fatal(diff)
		}
	})
}

// BenchmarkEncode encodes 50,000 flows with every field filled, in the order
// of a flow table, which is that of their beginning, and in no order, which is
// what a table full of old flows comes to; and the sixteen basic columns:
// times, addresses, ports, protocol, tag, packets, bytes, flags, state and
// application.
func BenchmarkEncode(b *testing.B) {
	full := sample(1, reporttest.Size{Flows: 50_000})
	plain, mixed := *full, *full
	plain.Flows = slices.Clone(full.Flows)
	for i := range plain.Flows {
		plain.Flows[i] = basic(plain.Flows[i])
	}
	mixed.Flows = slices.Clone(full.Flows)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(mixed.Flows), func(i, j int) { mixed.Flows[i], mixed.Flows[j] = mixed.Flows[j], mixed.Flows[i] })
	for _, c := range []struct {
		name string
		r    *network.Report
	}{{"every-field", full}, {"every-field-mixed", &mixed}, {"basic", &plain}} {
		b.Run(c.name, func(b *testing.B) {
			e, err := NewEncoder()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			began := cpu()
			var out []byte
			for b.Loop() {
				if out, err = e.Encode(c.r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu()-began).Seconds()*1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(len(out))/50_000, "B/flow")
		})
	}
}

// basic leaves a flow the sixteen basic columns.
func basic(f network.Flow) network.Flow {
	return network.Flow{Start: f.Start, End: f.End, Source: f.Source, Dest: f.Dest, SrcPort: f.SrcPort, DstPort: f.DstPort, Proto: f.Proto,
		VLAN: f.VLAN, SrcPkts: f.SrcPkts, DstPkts: f.DstPkts, SrcBytes: f.SrcBytes, DstBytes: f.DstBytes,
		SrcFlags: f.SrcFlags, DstFlags: f.DstFlags, State: f.State, App: f.App}
}

// TestBytesPerFlow holds the limits of what a flow may cost on the wire.
func TestBytesPerFlow(t *testing.T) {
	t.Parallel()
	r := sample(1, reporttest.Size{Flows: 50_000})
	b, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if n := float64(len(b)) / 50_000; n > 32 {
		t.Errorf("%.1f bytes for a flow with every field filled, at most 32 are allowed", n)
	}
	for i := range r.Flows {
		r.Flows[i] = basic(r.Flows[i])
	}
	if b, err = Encode(r); err != nil {
		t.Fatal(err)
	}
	if n := float64(len(b)) / 50_000; n > 25 {
		t.Errorf("%.1f bytes for the basic columns of a flow, at most 25 are allowed", n)
	}
}

// cpu is the user and system time of this process, which other processes on
// the machine do not change.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkDecode(b *testing.B) {
	in, err := Encode(sample(1, reporttest.Size{Flows: 50_000}))
	if err != nil {
		b.Fatal(err)
	}
	d, err := NewDecoder(DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.ReportAllocs()
	began := cpu()
	for b.Loop() {
		r, err := d.Decode(in)
		if err != nil {
			b.Fatal(err)
		}
		d.Recycle(r) // as a node does when the report is committed
	}
	b.ReportMetric((cpu()-began).Seconds()*1000/float64(b.N), "cpu-ms/op")
}
