package parsetest_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// words is a parser of words that a full stop ends; a digit passes over as
// many bytes.
type words struct {
	hold bool // the fault: it keeps the bytes that it is given
	kept []byte
}

func (w *words) Reset() { w.kept = nil }

func (w *words) Next(out *parse.Out, _ int, b []byte) (int, error) {
	switch c := b[0]; {
	case c >= '0' && c <= '9':
		return 1 + int(c-'0'), nil
	case c == '!':
		return 1, parse.ErrDone
	}
	end := strings.IndexByte(string(b), '.')
	if end < 0 {
		return 0, nil
	}
	if w.hold {
		w.kept = b[:end]
		return end + 1, nil
	}
	parse.Add(out, &out.Records.Mail, network.Mail{Session: out.Session, Banner: out.Text(b[:end])})
	return end + 1, nil
}

func (w *words) End(out *parse.Out) {
	if w.hold {
		parse.Add(out, &out.Records.Mail, network.Mail{Banner: out.Text(w.kept)})
	}
}

func TestRunHoweverCut(t *testing.T) {
	t.Parallel()
	c := parsetest.Talk(25, parsetest.C("one.3xx"), parsetest.S("t"), parsetest.C("xtwo."), parsetest.S("wo.!lost."))
	for seed := range uint64(50) {
		parsetest.Cuts(t, &words{}, c, seed)
	}
	out := parsetest.NewOut()
	if err := parsetest.Run(&words{}, out, c, nil); err != parse.ErrDone { //nolint:errorlint // the sentinel itself
		t.Fatalf("it ended with %v", err)
	}
	var got []string
	for _, m := range out.Records.Mail {
		got = append(got, m.Banner+" "+m.Time.Format("05.000"))
	}
	if s := strings.Join(got, ", "); s != "one 05.000, two 05.002, two 05.003" {
		t.Errorf("it found %s", s)
	}
}

// TestHeldBytesShow: a parser that keeps what it was given finds it overwritten.
func TestHeldBytesShow(t *testing.T) {
	t.Parallel()
	out := parsetest.NewOut()
	_ = parsetest.Run(&words{hold: true}, out, parsetest.Talk(25, parsetest.C("one.")), nil)
	if got := out.Records.Mail[0].Banner; got == "one" {
		t.Error("the bytes are still there")
	}
}
