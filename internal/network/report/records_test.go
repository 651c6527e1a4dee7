package report

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

func TestRecordsRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		r := sample(seed, reporttest.Size{Flows: int(seed), DNS: 3, Records: 1 + int(seed)*3})
		for _, k := range record.Kinds() {
			if k.Rows(&r.Records).Len() == 0 {
				t.Fatalf("no row of %s: the test shows nothing", k.Name)
			}
			for c := range k.Columns {
				if k.Rows(&r.Records).Row(0).Cell(&k.Columns[c]).IsZero() {
					t.Fatalf("%s.%s is not filled: the test shows nothing", k.Name, k.Columns[c].Name)
				}
			}
		}
		roundTrip(t, r)
	}
}

// TestRecordsOdd has the values at the ends of each type's range, and rows
// that are empty but for their time.
func TestRecordsOdd(t *testing.T) {
	t.Parallel()
	r := &network.Report{Start: end, End: end}
	for _, k := range record.Kinds() {
		rows := k.Rows(&r.Records)
		rows.Make(3)
		for i := range 3 {
			for c := range k.Columns {
				extreme(rows.Row(i), &k.Columns[c], i)
			}
		}
	}
	roundTrip(t, r)
}

func extreme(row record.Row, c *record.Column, i int) {
	v := row.Cell(c)
	switch c.Type {
	case record.Time:
		*record.At[time.Time](row, c) = [...]time.Time{time.UnixMicro(math.MaxInt64 / 4).UTC(), {}, time.UnixMicro(0).UTC()}[i]
		return
	case record.Duration:
		*record.At[time.Duration](row, c) = [...]time.Duration{math.MaxInt64 / 1000 * 1000, math.MinInt64 / 1000 * 1000, 0}[i]
		return
	}
	if i == 1 {
		return // all zero
	}
	switch c.Type {
	case record.Addr:
		*record.At[netip.Addr](row, c) = [...]netip.Addr{netip.MustParseAddr("::ffff:1.2.3.4"), {}, netip.IPv4Unspecified()}[i]
	case record.MAC:
		*record.At[network.MAC](row, c) = network.MAC{255, 255, 255, 255, 255, 255}
	case record.Text:
		v.SetString(strings.Repeat("é", 512))
	case record.List:
		*record.At[[]string](row, c) = slices.Repeat([]string{"a", ""}, record.MaxList/2)
	case record.Bool:
		v.SetBool(true)
	case record.Uint:
		v.SetUint(math.MaxUint64 >> (64 - c.Bits))
	case record.Int:
		v.SetInt([...]int64{math.MinInt64 >> (64 - c.Bits), 0, math.MaxInt64 >> (64 - c.Bits)}[i])
	}
}

// TestRecordsClean shows that what packets hold never makes a report that no
// node takes.
func TestRecordsClean(t *testing.T) {
	t.Parallel()
	r := &network.Report{Start: end, End: end}
	r.SSH = []network.SSH{{Session: network.Session{Time: end}, ClientBanner: "a\x00\xff" + strings.Repeat("b", 4000)}}
	r.SMB = []network.SMB{{Session: network.Session{Time: end}, Trees: make([]string, 40)}}
	b, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if s := got.SSH[0].ClientBanner; !strings.HasPrefix(s, "a\uFFFD\uFFFDb") || len(s) > 1024 {
		t.Errorf("the banner is %.20q of %d bytes", s, len(s))
	}
	if n := len(got.SMB[0].Trees); n != record.MaxList {
		t.Errorf("the list has %d elements", n)
	}
}

// message makes a message of a kind by hand.
func message(kind string, rows uint64, columns map[string][]byte) []byte {
	m := appendUint(appendString(nil, kindName, kind), kindRows, rows)
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		m = appendBytes(m, kindColumn, appendBytes(appendString(nil, columnName, name), columnValues, columns[name]))
	}
	return appendBytes(nil, fieldKind, m)
}

// TestNewerTap shows that what a newer tap knows is passed over, and counted.
func TestNewerTap(t *testing.T) {
	t.Parallel()
	body := slices.Concat(
		message("teleports", 7, map[string][]byte{"time": {1}}),
		message("ntp", 2, map[string][]byte{"time": {2, 2}, "stratum": {1, 2}, "leap": {9, 9, 9, 9}}))
	d, err := NewDecoder(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := d.Decode(wrap(t, body))
	if err != nil {
		t.Fatal(err)
	}
	want := []network.NTP{{Session: network.Session{Time: micros(1)}, Stratum: 1}, {Session: network.Session{Time: micros(2)}, Stratum: 2}}
	if diff := cmp.Diff(want, got.NTP, same); diff != "" {
		t.Error(diff)
	}
	if d.Skipped() != 7 {
		t.Errorf("%d rows were counted as skipped, want 7", d.Skipped())
	}
}

func TestRecordsRefused(t *testing.T) {
	t.Parallel()
	ntp := func(columns map[string][]byte) []byte { return message("ntp", 2, columns) }
	times := []byte{2, 2}
	tests := []struct {
		name string
		body []byte
		kind errs.Kind
		text string
	}{
		{"no times", ntp(map[string][]byte{"stratum": {1, 1}}), errs.Invalid, "their times end before"},
		{"too few times", ntp(map[string][]byte{"time": {2}}), errs.Invalid, "their times end before"},
		{"too many times", ntp(map[string][]byte{"time": {2, 2, 2}}), errs.Invalid, "more values"},
		{"number out of range", ntp(map[string][]byte{"time": times, "stratum": {1, 0x80, 0x02}}), errs.Invalid, "out of range"},
		{"cut off", ntp(map[string][]byte{"time": times, "stratum": {1, 0x80}}), errs.Invalid, "cut off"},
		{"no such name", ntp(map[string][]byte{"time": times, "mode": {1, 0}}), errs.Invalid, "out of range"},
		{"no such address", ntp(map[string][]byte{"time": times, "client": {1, 0}}), errs.Invalid, "out of range"},
		{"endless duration", ntp(map[string][]byte{"time": times, "delay": append(protowire.AppendVarint(nil, math.MaxUint64), 0)}), errs.Invalid, "out of range"},
		{"kind twice", slices.Concat(ntp(map[string][]byte{"time": times}), ntp(map[string][]byte{"time": times})), errs.Invalid, "twice"},
		{"too many rows", message("ntp", 200_001, map[string][]byte{"time": times}), errs.TooLarge, "200000 rows"},
		{"too many rows together", slices.Concat(message("ntp", 150_000, map[string][]byte{"time": make([]byte, 150_000)}),
			message("snmp", 150_000, map[string][]byte{"time": make([]byte, 150_000)})), errs.TooLarge, "200000 rows"},
		{"too many kinds", slices.Repeat(message("x", 0, nil), maxKinds+1), errs.TooLarge, "256 kinds"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode(wrap(t, tc.body), DefaultLimits())
			if errs.KindOf(err) != tc.kind || err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("the error is %v %v, want %v with %q", errs.KindOf(err), err, tc.kind, tc.text)
			}
		})
	}
}

// TestSplitRecords shows that a report with too many records can be sent in
// parts, with nothing lost.
func TestSplitRecords(t *testing.T) {
	t.Parallel()
	r := sample(5, reporttest.Size{Flows: 5, Records: 9})
	total := record.Count(&r.Records)
	var sum network.Records
	parts := Split(r, 10)
	for _, p := range parts {
		if n := record.Count(&p.Records); n > 10 {
			t.Errorf("a part has %d rows", n)
		}
		record.Append(&sum, &p.Records)
	}
	if diff := cmp.Diff(r.Records, sum, same); diff != "" || len(parts) != (total+9)/10 {
		t.Errorf("%d parts of %d rows:\n%s", len(parts), total, diff)
	}
	many := &network.Report{}
	many.NTP, many.SNMP = make([]network.NTP, 120_000), make([]network.SNMP, 120_000)
	if _, err := Encode(many); !errs.Is(err, errs.TooLarge) {
		t.Errorf("240,000 records give %v", err)
	}
	for _, p := range Split(many, DefaultLimits().Rows) {
		if _, err := Encode(p); err != nil {
			t.Error(err)
		}
	}
}

// TestTooManyNames shows that a report whose names no reader takes is not
// written: it is split instead.
func TestTooManyNames(t *testing.T) {
	t.Parallel()
	r := &network.Report{Start: end, End: end}
	text := make([]byte, 0, 16)
	for i := range 60_000 {
		h := network.WiFiNetwork{Time: end}
		for j := range record.MaxList {
			text = protowire.AppendFixed32(text[:0], uint32(i*record.MaxList+j))
			for k := range text {
				text[k] = text[k]&0x3f + 0x20
			}
			h.Rates = append(h.Rates, string(text)+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676%26))+string(rune('a'+i/17576))+string(rune('a'+j)))
		}
		r.WiFiNetworks = append(r.WiFiNetworks, h)
	}
	if _, err := Encode(r); !errs.Is(err, errs.TooLarge) {
		t.Errorf("960,000 names give %v", err)
	}
}

// BenchmarkRecords encodes and decodes 2,000 rows of each kind.
func BenchmarkRecords(b *testing.B) {
	r := sample(1, reporttest.Size{Records: 2000})
	n := record.Count(&r.Records)
	e, err := NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	out, err := e.Encode(r)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		began := cpu()
		for b.Loop() {
			if _, err := e.Encode(r); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N)/float64(n), "cpu-ns/row")
		b.ReportMetric(float64(len(out))/float64(n), "B/row")
	})
	b.Run("decode", func(b *testing.B) {
		d, err := NewDecoder(DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		b.ReportAllocs()
		began := cpu()
		for b.Loop() {
			if _, err := d.Decode(out); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N)/float64(n), "cpu-ns/row")
	})
}
