package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestLineAndText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ü 日本": "plain ü 日本", "\x1b[31m": `\x1b[31m`, "a\x00\x7fb": `a\x00\x7fb`, "\u009b": `\x9b`, "\xff\xfe": `\xff\xfe`,
		"\u202e": `\u202e`, "\u2028": `\u2028`, "\ufeff": `\ufeff`, "\U000e0041": `\ue0041`, "a\nb\tc\r": `a\nb\tc\x0d`, "�": "�",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Text("a\r\nb\tc\r\x1b"); got != "a\nb\tc\\x0d\\x1b" {
		t.Errorf("Text gives %q", got)
	}
}

func TestHuman(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 100 << 10: "100 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 40: "5.0 TiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	if got := Bytes(uint64(1<<64 - 1)); got != "16.0 EiB" {
		t.Errorf("the largest size is %q", got)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", 59 * time.Second: "59s ago", time.Hour - 1: "59m ago", 47 * time.Hour: "47h ago", 49 * time.Hour: "2d ago", -90 * time.Second: "in 1m",
	} {
		if got := Ago(now, now.Add(-d)); got != want {
			t.Errorf("%s before is %q, want %q", d, got, want)
		}
	}
	if Ago(now, time.Time{}) != "-" || Clock(now, time.Time{}) != "-" || Duration(1500*time.Microsecond) != "1ms" || Duration(15*time.Microsecond) != "15µs" || Duration(0) != "0s" {
		t.Error("small or no times are wrong")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := Table{Columns: Columns("NAME", ">N"), Empty: "nothing"}
	var b bytes.Buffer
	if err := table.Write(&b, false); err != nil || b.String() != "nothing\n" {
		t.Errorf("an empty table is %q (%v)", b.String(), err)
	}
	table.Add("äö\x1b", "1")
	table.Add("", "1000")
	b.Reset()
	if err := table.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("NAME       N\näö\\x1b     1\n-       1000\n", b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTableCutsLongCells(t *testing.T) {
	t.Parallel()
	table := Table{Columns: Columns("NAME", "TYPE")}
	table.Add(strings.Repeat("ä", 250), "A")
	table.Add(strings.Repeat("b", maxCell), "A")
	var out strings.Builder
	if err := table.Write(&out, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if want := strings.Repeat("ä", maxCell-1) + "…  A"; lines[1] != want {
		t.Errorf("a long cell is %q, want %q", lines[1], want)
	}
	if want := strings.Repeat("b", maxCell) + "  A"; lines[2] != want {
		t.Errorf("a cell that just fits is %q", lines[2])
	}
}

func TestYAMLKeepsOrderAndTypes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	in := json.RawMessage(`{"z":1,"a":"1","t":"true","n":null,"f":1.5,"big":123456789012345678901234567890,"e":{},"l":[],"s":"one\ntwo\n","x":"\u001b[2J","d":"2026-01-01","k\u202e":[[1]]}`)
	if err := YAML(&b, in); err != nil {
		t.Fatal(err)
	}
	want := "z: 1\na: \"1\"\nt: \"true\"\nn: null\nf: 1.5\nbig: 123456789012345678901234567890\ne: {}\nl: []\ns: |\n  one\n  two\nx: \"\\e[2J\"\nd: \"2026-01-01\"\n\"k\\u202e\":\n  - - 1\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"a\u001bb"`: `a\x1bb`, `true`: "true\n", `{"a":[1,2]}`: "a:\n  - 1\n  - 2\n", ``: "", `{`: "{", `"\ud83d\ude00"`: "😀",
	} {
		if got := Value(json.RawMessage(in)); got != want {
			t.Errorf("Value(%s) = %q, want %q", in, got, want)
		}
	}
}

// FuzzSafe checks that nothing a terminal would obey gets through, and that
// JSON and YAML still mean what they meant.
func FuzzSafe(f *testing.F) {
	for _, s := range []string{"a", "\x1b]0;x\x07", "\u009b", "\xff", "\u202e", "a\nb", "- x", "\U000e0001", " a\n\n b ", "#", "\t", "\r", "\u0085", "<<", "=", "~", "!!x", "&a", "*a", "? a", "y", "0x1f", "1_000", "12:30:45"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		in := map[string]any{s: []any{s, map[string]any{"k": s}}}
		var doc, yml bytes.Buffer
		if err := JSON(&doc, in); err != nil {
			t.Fatal(err)
		}
		if err := YAML(&yml, in); err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(s)
		for _, out := range []string{Line(s), Text(s), doc.String(), yml.String(), Value(raw)} {
			for _, r := range out {
				if hostile(r) && r != '\n' && r != '\t' {
					t.Fatalf("%q holds %U", out, r)
				}
			}
			if !utf8.ValidString(out) {
				t.Fatalf("%q is no UTF-8", out)
			}
		}
		var back map[string]any
		if err := json.Unmarshal(doc.Bytes(), &back); err != nil || cmp.Diff(in, back) != "" {
			t.Fatalf("JSON changed %q: %v %s", s, err, doc.String())
		}
		back = nil
		if err := yaml.Unmarshal(yml.Bytes(), &back); err != nil || cmp.Diff(in, back) != "" {
			t.Fatalf("YAML changed %q: %v\n%s\n%s", s, err, yml.String(), cmp.Diff(in, back))
		}
	})
}

func TestValueForPeople(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ raw, want string }{
		"rows": {`[{"name":"a","size_bytes":2048,"tags":["x","y"]},{"name":"b\u001b[2J","size_bytes":7,"more":true}]`,
			"NAME         SIZE  TAGS  MORE\na         2.0 KiB  x, y  -\nb\\x1b[2J      7 B  -     true\n"},
		"nested rows":      {`[{"a":{"b":1}}]`, "- a:\n    b: 1\n"},
		"scalars":          {`["a","b"]`, "- a\n- b\n"},
		"bytes":            {`{"total_bytes":1048576,"x_bytes":"12","y_bytes":-1}`, "total_bytes: 1048576 # 1.0 MiB\nx_bytes: \"12\"\ny_bytes: -1\n"},
		"rows and scalars": {`[{"a":1},2]`, "- a: 1\n- 2\n"},
		"nothing":          {`[]`, "[]\n"},
		"a long cell":      {`[{"a":"` + strings.Repeat("é", 500) + `"}]`, "A\n" + strings.Repeat("é", 119) + "…\n"},
	}
	for name, tt := range tests {
		if got := Value(json.RawMessage(tt.raw)); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}
