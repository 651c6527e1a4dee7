package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

func decoder(t *testing.T, limits Limits) *Decoder {
	t.Helper()
	d, err := NewDecoder(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func compress(t *testing.T, encoding string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch encoding {
	case "gzip":
		w := gzip.NewWriter(&out)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case "zstd":
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return b
	}
	return out.Bytes()
}

// TestReadIsDecode shows that a report that arrives in pieces is the one that
// Decode makes of the whole, in both forms, and what it is said to take.
func TestReadIsDecode(t *testing.T) {
	t.Parallel()
	d := decoder(t, DefaultLimits())
	for seed := range uint64(4) {
		want := sample(seed, reporttest.Size{Flows: 700, DNS: 40, TLS: 30, Records: 5})
		wire, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		grow := func(n int) error { asked += n; return nil }
		check := func(form string, got Received, size int, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			if diff := cmp.Diff(want, got.Report, same); diff != "" {
				t.Errorf("%s (-want +got):\n%s", form, diff)
			}
			if got.Wire != size || got.Memory < 700*200 || got.Memory > asked || got.Kinds["flows"] < 700 || got.Kinds["http"] < 5 {
				t.Errorf("%s: %d bytes on the wire, %d in memory of %d asked for, %v", form, got.Wire, got.Memory, asked, got.Kinds)
			}
			asked = 0
		}
		got, err := d.Read(iotest.OneByteReader(bytes.NewReader(wire)), grow)
		check("wire", got, len(wire), err)
		for _, encoding := range []string{"", "identity", "gzip", "zstd"} {
			body := compress(t, encoding, text)
			got, err := d.ReadJSON(iotest.HalfReader(bytes.NewReader(body)), encoding, grow)
			check("JSON "+encoding, got, len(body), err)
		}
	}
}

// TestReadEnds shows that an error of the body, and of who counts the memory,
// comes back as it is.
func TestReadEnds(t *testing.T) {
	t.Parallel()
	d := decoder(t, DefaultLimits())
	r := sample(1, reporttest.Size{Flows: 3000})
	wire, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	gone, full := errors.New("gone"), errors.New("full")
	for _, at := range []int{0, 3, 5, len(wire) / 2, len(wire)} {
		if _, err := d.Read(io.MultiReader(bytes.NewReader(wire[:at]), iotest.ErrReader(gone)), nil); !errors.Is(err, gone) {
			t.Errorf("wire, after %d bytes: %v", at, err)
		}
		for _, encoding := range []string{"", "gzip", "zstd"} {
			body := compress(t, encoding, text)
			body = body[:min(at, len(body)-1)]
			if _, err := d.ReadJSON(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(gone)), encoding, nil); !errors.Is(err, gone) {
				t.Errorf("JSON %s, after %d bytes: %v", encoding, at, err)
			}
		}
	}
	for allowed := 0; allowed < 10*growStep; allowed += growStep {
		left := allowed
		grow := func(n int) error {
			if left -= n; left < 0 {
				return full
			}
			return nil
		}
		if _, err := d.Read(bytes.NewReader(wire), grow); !errors.Is(err, full) {
			t.Errorf("wire, with %d bytes allowed: %v", allowed, err)
		}
		left = allowed
		if _, err := d.ReadJSON(bytes.NewReader(text), "", grow); !errors.Is(err, full) {
			t.Errorf("JSON, with %d bytes allowed: %v", allowed, err)
		}
	}
	// What was refused leaves nothing behind that the next report meets.
	if got, err := d.Read(bytes.NewReader(wire), nil); err != nil || len(got.Flows) != 3000 {
		t.Errorf("afterwards: %v", err)
	}
}

// TestJSONRefused lists what the JSON form may not be.
func TestJSONRefused(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	limits.Rows, limits.Memory = 1000, 4<<20
	d := decoder(t, limits)
	many := func(name, row string, n int) string {
		return `{"` + name + `":[` + strings.TrimSuffix(strings.Repeat(row+",", n), ",") + `]}`
	}
	everyKind := `{"tap":"a"`
	for _, k := range record.Kinds() {
		everyKind += `,"` + k.Name + `":[` + strings.TrimSuffix(strings.Repeat("{},", 100), ",") + `]`
	}
	for _, tc := range []struct {
		name, encoding, body, says string
		kind                       errs.Kind
	}{
		{"nothing", "", "", "no JSON", errs.Invalid},
		{"a list", "", "[]", "no report", errs.Invalid},
		{"cut off", "", `{"flows":[{}`, "no JSON", errs.Invalid},
		{"two", "", `{}{}`, "one report at a time", errs.Invalid},
		{"flows that are no list", "", `{"flows":{}}`, "no list", errs.Invalid},
		{"a negative counter", "", `{"flows":[{},{"source_bytes":-5}]}`, "flows 1", errs.Invalid},
		{"a port of 70000", "", `{"flows":[{"source_port":70000}]}`, "flows 0", errs.Invalid},
		{"an address that is none", "", `{"flows":[{"source":"here"}]}`, "flows 0", errs.Invalid},
		{"an address with a zone", "", `{"flows":[{"source":"fe80::1%eth0"}]}`, "zone", errs.Invalid},
		{"the year 99999", "", `{"end":"99999-01-01T00:00:00Z"}`, "end", errs.Invalid},
		{"a NUL", "", `{"dns":[{"name":"a\u0000b"}]}`, "NUL", errs.Invalid},
		{"a NUL in a list", "", `{"tls":[{"alpn":["a\u0000"]}]}`, "NUL", errs.Invalid},
		{"a NUL in a record", "", `{"http":[{"host":"a\u0000"}]}`, "NUL", errs.Invalid},
		{"a NUL in the health", "", `{"health":{"version":"a\u0000"}}`, "NUL", errs.Invalid},
		{"a NUL in the ledger", "", `{"interfaces":[{"interface":"a\u0000"}]}`, "NUL", errs.Invalid},
		{"a negative latency", "", `{"dns":[{"latency":-1}]}`, "duration", errs.Invalid},
		{"a round trip of days", "", `{"flows":[{"client_rtt":900000000000000}]}`, "duration", errs.Invalid},
		{"a long list", "", `{"dns":[{"answers":[` + strings.Repeat(`"",`, 40) + `""]}]}`, "a list of 41", errs.Invalid},
		{"a name of 10 MB", "", `{"dns":[{"name":"` + strings.Repeat("a", 10<<20) + `"}]}`, "more than", errs.TooLarge},
		{"a name of 2 kB", "", `{"dns":[{"name":"` + strings.Repeat("a", 2<<10) + `"}]}`, "2048 bytes", errs.Invalid},
		{"too many flows", "", many("flows", "{}", 1001), "more than 1000 flows", errs.TooLarge},
		{"too many ledgers", "", many("interfaces", "{}", 1025), "more than 1024", errs.TooLarge},
		{"too many records", "", everyKind + "}", "rows of records", errs.TooLarge},
		{"too much memory", "", `{"flows":[` + strings.TrimSuffix(strings.Repeat("{},", 1000), ",") + `],"tls":[` + strings.TrimSuffix(strings.Repeat(`{"subject":"`+strings.Repeat("a", 1000)+`","issuer":"`+strings.Repeat("b", 1000)+`","sni":"`+strings.Repeat("c", 1000)+`"},`, 1000), ",") + `]}`, "bytes of memory", errs.TooLarge},
		{"a bomb by gzip", "gzip", string(make([]byte, 64<<20)), "", errs.Invalid},
		{"a bomb of spaces", "gzip", "{" + strings.Repeat(" ", 64<<20) + "}", "more than", errs.TooLarge},
		{"a bomb by zstd", "zstd", `{"flows":[` + strings.Repeat(" ", 64<<20) + "]}", "more than", errs.TooLarge},
		{"members without end", "", "{" + strings.Repeat(`"x":1,`, 1000) + `"y":1}`, "members", errs.TooLarge},
	} {
		_, err := d.ReadJSON(bytes.NewReader(compress(t, tc.encoding, []byte(tc.body))), tc.encoding, nil)
		if errs.KindOf(err) != tc.kind || err == nil || !strings.Contains(err.Error(), tc.says) || len(err.Error()) > 500 {
			t.Errorf("%s: %v: %.300v, want %v with %q", tc.name, errs.KindOf(err), err, tc.kind, tc.says)
		}
	}
	for _, encoding := range []string{"gzip", "zstd"} {
		for _, body := range [][]byte{nil, []byte("hello, hello"), compress(t, encoding, []byte(`{"tap":"a"}`))[:15]} {
			if _, err := d.ReadJSON(bytes.NewReader(body), encoding, nil); errs.KindOf(err) != errs.Invalid {
				t.Errorf("%s of %q: %v", encoding, body, err)
			}
		}
	}
	if got, err := d.ReadJSON(strings.NewReader(`{"tap":"a","of_a_newer_tap":{"x":[1]},"http":null,"flows":[],"dns":[{"unknown":1}]}`), "", nil); err != nil || got.Tap != "a" || len(got.DNS) != 1 {
		t.Errorf("what is not known, and null: %v", err)
	}
}

// TestWindowIsAskedFor shows that the memory of the decoder is asked for before
// it is there: a frame of a few bytes may announce a window of any size.
func TestWindowIsAskedFor(t *testing.T) {
	t.Parallel()
	d := decoder(t, DefaultLimits())
	// Magic, no content size, and a window of 16 MiB (RFC 8878 section 3.1.1.1).
	frame := []byte("RIND\x01\x28\xb5\x2f\xfd\x00\x70")
	full := errors.New("full")
	asked := 0
	_, err := d.Read(bytes.NewReader(frame), func(n int) error { asked += n; return full })
	if !errors.Is(err, full) || asked < 16<<20 {
		t.Errorf("%d bytes are asked for a window of 16 MiB: %v", asked, err)
	}
	frame[len(frame)-1] = 0xf0 // terabytes
	if _, err := d.Read(bytes.NewReader(frame), nil); errs.KindOf(err) != errs.TooLarge {
		t.Errorf("a window without end: %v", err)
	}
	// A second frame may not have a larger window than the first one asked for.
	var two []byte
	for _, size := range []int{100, 4 << 20} {
		two = append(two, wrap(t, make([]byte, size))[header:]...)
	}
	if _, err := d.Read(bytes.NewReader(append([]byte("RIND\x01"), two...)), nil); errs.KindOf(err) != errs.TooLarge {
		t.Errorf("a second frame with a larger window: %v", err)
	}
}

// TestMemoryIsBounded shows that a message of a few bytes cannot announce rows
// that take much memory.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var message []byte
	for _, field := range []protowire.Number{fieldFlows, fieldDNS, fieldTLS} {
		rows := protowire.AppendVarint(protowire.AppendTag(nil, fieldCount, protowire.VarintType), 200_000)
		message = protowire.AppendBytes(protowire.AppendTag(message, field, protowire.BytesType), rows)
	}
	limits := DefaultLimits()
	limits.Memory = 64 << 20
	if _, err := decoder(t, limits).Decode(wrap(t, message)); !errs.Is(err, errs.TooLarge) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("three times 200,000 rows of nothing: %v", err)
	}
	asked := 0
	_, err := decoder(t, DefaultLimits()).Read(bytes.NewReader(wrap(t, message)), func(n int) error { asked += n; return nil })
	if err != nil || asked < 600_000*100 {
		t.Errorf("%d bytes were asked for (%v)", asked, err)
	}
}

func FuzzReadJSON(f *testing.F) {
	for seed := range uint64(2) {
		b, err := json.Marshal(sample(seed, reporttest.Size{Flows: 2, DNS: 2, TLS: 2, Records: 1}))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	d, err := NewDecoder(Limits{Compressed: 1 << 20, Decoded: 1 << 20, Rows: 2000, String: 256, Memory: 8 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := d.ReadJSON(bytes.NewReader(in), "", nil)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.TooLarge {
				t.Fatalf("the error %q has kind %v", err, k)
			}
			return
		}
		if _, err := Encode(got.Report); err != nil {
			t.Fatal(err)
		}
	})
}
