package parse_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

func TestCapsOfRows(t *testing.T) {
	t.Parallel()
	out := parse.NewOut(3, 1000)
	var flow uint32
	out.Flow, out.MaxFlow = &flow, 2
	for range 4 {
		parse.Add(out, &out.Records.FTP, network.FTP{})
	}
	out.Flow = nil
	parse.Add(out, &out.Records.FTP, network.FTP{})
	parse.Add(out, &out.Records.FTP, network.FTP{})
	if len(out.Records.FTP) != 3 || out.Rows != 3 || out.Over != 3 || flow != 2 {
		t.Errorf("%d rows, %d counted, %d over, %d of the flow", len(out.Records.FTP), out.Rows, out.Over, flow)
	}
	parse.Add(out, &out.DNS, network.DNSQuery{})
	var r network.Report
	out.CutInto(&r)
	if len(r.FTP) != 3 || len(r.DNS) != 1 || out.Records.FTP != nil || out.DNS != nil {
		t.Errorf("%+v", r)
	}
}

// TestCapOfTexts: a row whose text found no room is left out, and the next
// report begins afresh.
func TestCapOfTexts(t *testing.T) {
	t.Parallel()
	out := parse.NewOut(100, 300)
	add := func(s string) { parse.Add(out, &out.Records.FTP, network.FTP{User: out.Text([]byte(s))}) }
	add(strings.Repeat("a", 200))
	add(strings.Repeat("b", 200))
	add(strings.Repeat("a", 200))
	if len(out.Records.FTP) != 2 || out.Over != 1 {
		t.Errorf("%d rows, %d over", len(out.Records.FTP), out.Over)
	}
	out.Cut()
	add(strings.Repeat("b", 200))
	if len(out.Records.FTP) != 1 || out.Over != 1 {
		t.Errorf("%d rows, %d over after the cut", len(out.Records.FTP), out.Over)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	out := parse.NewOut(1, 1<<16)
	for in, want := range map[string]string{
		"Plain Text": "plain text", "a\\b\x00\x7f": `a\092b\000\127`, "Stra\xc3\x9fe": "stra\u00dfe", "\xff\xfe": `\255\254`,
		"\u202etfel": `\226\128\174tfel`,
	} {
		if got := out.Lower([]byte(in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if n := len(out.Text([]byte(strings.Repeat("\x00", 1000)))); n > parse.MaxText {
		t.Errorf("a text of %d bytes", n)
	}
}
