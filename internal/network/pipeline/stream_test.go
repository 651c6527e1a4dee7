package pipeline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// words is a parser for tests: each side says lines, and each becomes a row.
// Some lines make it do what parsers do.
type words struct{ lines int }

func (w *words) Reset() { w.lines = 0 }

func (w *words) End(out *parse.Out) {
	w.row(out, "end")
	w.lines = 0
}

func (w *words) row(out *parse.Out, what string) {
	parse.Add(out, &out.Records.Telnet, network.Telnet{Session: out.Session, Banner: what, Options: fmt.Sprint(w.lines)})
}

func (w *words) Next(out *parse.Out, side int, b []byte) (int, error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0, nil
	}
	w.lines++
	line := string(b[:i])
	switch line {
	case "panic":
		panic("a defect in a parser")
	case "done":
		return i + 1, parse.ErrDone
	case "not":
		return 0, parse.ErrNot
	case "bad":
		return i + 1, parse.ErrMalformed
	case "tls":
		return i + 1, parse.ErrTLS
	case "again":
		return i + 1, parse.ErrAgain
	case "skip":
		return i + 1 + 100_000, nil
	}
	w.row(out, fmt.Sprint(side, " ", line))
	return i + 1, nil
}

func (w *words) Datagram(out *parse.Out, side int, b []byte) error {
	_, err := w.Next(out, side, append(b, '\n'))
	return err
}

// newWords is a talk with a pipeline of the parser for tests, beside those
// that there are: "hello" begins it.
func newWords(cfg Config, port uint16) *talk {
	k := newTalk(cfg, port)
	tcp, udp := protocols()
	tcp = append(tcp, protocol{name: "words", app: flow.AppTelnet, looks: prefix("hello"), stream: func() parse.Stream { return &words{} }},
		protocol{name: "other", app: flow.AppFTP, looks: prefix("hello not"), stream: func() parse.Stream { return &words{} }})
	udp = append(udp, protocol{name: "words", app: flow.AppTelnet, looks: prefix("hello"), datagrams: &words{}})
	cfg.MaxFlows = 1024
	k.p = newPipeline(cfg, tcp, udp)
	return k
}

// said is what the rows of the parser for tests say.
func said(r network.Report) (out []string) {
	for i := range r.Telnet {
		out = append(out, r.Telnet[i].Banner)
	}
	return out
}

// say sends a line of text, in one segment.
func (k *talk) say(up bool, seq *uint32, text string) {
	k.tcp(up, *seq, []byte(text))
	*seq += uint32(len(text))
}

func TestWhatParsersAnswer(t *testing.T) {
	t.Parallel()
	hello := string(packettest.ClientHello("later.example"))
	for _, c := range []struct {
		name  string
		lines []string // of the client; those with < in front of the server
		want  []string
		app   string
		tls   int
		count ParserCounters
	}{
		{"a session", []string{"hello\n", "<hi\n", "a\nb\n"}, []string{"0 hello", "1 hi", "0 a", "0 b", "end"}, "telnet", 0,
			ParserCounters{Recognised: 1, Transactions: 5}},
		{"cut anywhere", []string{"h", "el", "lo", "\n", "<h", "<i\n"}, []string{"0 hello", "1 hi", "end"}, "telnet", 0,
			ParserCounters{Recognised: 1, Transactions: 3}},
		{"the server first", []string{"<W\n", "hello\n"}, []string{"1 W", "0 hello", "end"}, "telnet", 0,
			ParserCounters{Recognised: 1, Transactions: 3}},
		{"done", []string{"hello\n", "done\n", "more\n"}, []string{"0 hello", "end"}, "telnet", 0, ParserCounters{Recognised: 1, Transactions: 2}},
		{"malformed", []string{"hello\n", "bad\n", "more\n"}, []string{"0 hello", "end"}, "telnet", 0,
			ParserCounters{Recognised: 1, Transactions: 2, Malformed: 1}},
		{"goes on as TLS", []string{"hello\n", "tls\n" + hello[:50], hello[50:]}, []string{"0 hello", "end"}, "telnet", 1,
			ParserCounters{Recognised: 1, Transactions: 2}},
		{"goes on as something else", []string{"hello\n", "again\n", "hello 2\n", "x\n"},
			[]string{"0 hello", "end", "0 hello 2", "0 x", "end"}, "telnet", 0, ParserCounters{Recognised: 2, Transactions: 5}},
		{"without end", []string{"hello\nagain\nhello\nagain\nhello\nagain\nhello\nagain\nhello\nagain\nhello\n"},
			[]string{"0 hello", "end", "0 hello", "end", "0 hello", "end", "0 hello", "end", "0 hello", "end"}, "telnet", 0,
			ParserCounters{Recognised: 5, Transactions: 10}},
		{"not", []string{"hello\n", "not\n"}, []string{"0 hello", "end"}, "telnet", 0, ParserCounters{Recognised: 1, Transactions: 2, Not: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newWords(Config{}, 9999)
			up, down := uint32(0xfffffffe), uint32(7)
			k.frame(packettest.Frame{Src: k.c, Dst: k.s, Proto: 6, Flags: packet.SYN, Seq: up - 1})
			k.next = [2]uint32{up, down}
			for _, line := range c.lines {
				if line[0] == '<' {
					k.say(false, &down, line[1:])
				} else {
					k.say(true, &up, line)
				}
			}
			r := k.end(t)
			if diff := cmp.Diff(c.want, said(r)); diff != "" {
				t.Error(diff)
			}
			got := k.parser("words")
			c.count.Name = "words"
			if diff := cmp.Diff(c.count, got); diff != "" {
				t.Error(diff)
			}
			if r.Flows[0].App != c.app || len(r.TLS) != c.tls {
				t.Errorf("application %q, %d TLS handshakes", r.Flows[0].App, len(r.TLS))
			}
			for _, row := range r.Telnet {
				if row.Client != k.c.Addr() || row.Server != k.s.Addr() || row.ClientPort != 40000 || row.ServerPort != 9999 || row.Time.IsZero() {
					t.Errorf("session %+v", row.Session)
				}
			}
		})
	}
}

// TestNotOneButAnother: what one parser refuses is offered to the next.
func TestNotOneButAnother(t *testing.T) {
	t.Parallel()
	k := newTalk(Config{}, 9999)
	refuse := func() parse.Stream { return &refuser{} }
	k.p = newPipeline(Config{MaxFlows: 1024}, []protocol{
		{name: "first", app: flow.AppFTP, looks: prefix("he"), stream: refuse},
		{name: "second", app: flow.AppTelnet, looks: prefix("he"), stream: func() parse.Stream { return &words{} }},
	}, nil)
	k.tcp(true, 1, []byte("hello\n"))
	r := k.end(t)
	if diff := cmp.Diff([]string{"0 hello", "end"}, said(r)); diff != "" || r.Flows[0].App != "telnet" || k.parser("first").Not != 1 {
		t.Error(diff, r.Flows[0].App, k.parser("first"))
	}
}

type refuser struct{ words }

func (*refuser) End(*parse.Out) {}

func (*refuser) Next(*parse.Out, int, []byte) (int, error) { return 0, parse.ErrNot }

// TestSwitchedOff: a parser is switched off, and on again, between two reports.
func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	k := newWords(Config{Settings: Settings{Disabled: []string{"words", "other"}}}, 9999)
	seq := uint32(1)
	k.say(true, &seq, "hello\n")
	k.p.Configure(Settings{})
	if r := k.p.Cut(time.Unix(0, k.at)); len(r.Telnet) != 0 || r.Flows[0].App != "" {
		t.Errorf("%+v", r)
	}
	k.frames = 0
	k.say(true, &seq, "hello again\n")
	k.p.Configure(Settings{Disabled: []string{"words", "other"}})
	if diff := cmp.Diff([]string{"0 hello", "0 hello again"}, said(k.p.Cut(time.Unix(0, k.at)))); diff != "" {
		t.Error(diff)
	}
	k.frames = 0
	k.say(true, &seq, "and again\n")
	if diff := cmp.Diff([]string{"end"}, said(k.end(t))); diff != "" {
		t.Error(diff)
	}
	if err := (Settings{Disabled: []string{"dns", "nothing"}}).Validate(); err == nil {
		t.Error("a parser that is not there can be switched off")
	}
}

// TestRowsOfAFlow bounds what one flow may fill a report with, over TCP and
// UDP, and begins anew with the next report.
func TestRowsOfAFlow(t *testing.T) {
	t.Parallel()
	k := newWords(Config{MaxFlowRows: 5}, 9999)
	seq := uint32(0)
	for report := range 2 {
		for range 10 {
			k.say(true, &seq, "hello\n")
			k.frame(packettest.Frame{Src: k.c, Dst: k.s, Proto: 17, Payload: []byte("hello")})
		}
		if r := k.p.Cut(time.Unix(0, k.at)); len(r.Telnet) != 10 {
			t.Errorf("report %d: %d rows", report, len(r.Telnet))
		}
	}
	if c := k.parser("words"); c.LeftOut != 20 || c.Transactions != 20 || c.Recognised != 2 {
		t.Errorf("%+v", c)
	}
}

// TestNewConnectionOnOldPorts looks afresh at what a SYN begins.
func TestNewConnectionOnOldPorts(t *testing.T) {
	t.Parallel()
	k := newWords(Config{}, 9999)
	syn := func(seq uint32) { k.frame(packettest.Frame{Src: k.c, Dst: k.s, Proto: 6, Flags: packet.SYN, Seq: seq}) }
	for i, isn := range []uint32{100, 1 << 30, 1 << 31} {
		syn(isn)
		seq := isn + 1
		k.say(true, &seq, fmt.Sprintf("hello %d\n", i))
		syn(isn) // late, and again: nothing new
		k.say(true, &seq, []string{"x\n", "done\n", "y\n"}[i])
	}
	want := []string{"0 hello 0", "0 x", "end", "0 hello 1", "end", "0 hello 2", "0 y", "end"}
	if diff := cmp.Diff(want, said(k.end(t))); diff != "" {
		t.Error(diff)
	}
}

// TestEndOfConnection: the end is told when both sides have closed, and with a
// reset at once, not when the flow is forgotten.
func TestEndOfConnection(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]uint8{{packet.FIN | packet.ACK, packet.FIN | packet.ACK}, {packet.RST}} {
		k := newWords(Config{}, 9999)
		up := uint32(1)
		k.say(true, &up, "hello\n")
		for i, f := range flags {
			frame := packettest.Frame{Src: k.c, Dst: k.s, Proto: 6, Flags: f, Seq: up}
			if i == 1 {
				frame.Src, frame.Dst, frame.Seq = k.s, k.c, 0
			}
			k.frame(frame)
		}
		if diff := cmp.Diff([]string{"0 hello", "end"}, said(k.p.Cut(time.Unix(0, k.at)))); diff != "" {
			t.Error(diff)
		}
	}
}

// TestStreamsAgainstOracle sends many conversations in one piece, and the same
// cut, repeated, overlapping and out of order: the rows are the same, unless a
// gap was counted. Half of them skip a part, which may then be lost.
func TestStreamsAgainstOracle(t *testing.T) {
	t.Parallel()
	gaps := uint64(0)
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 2))
		text := []byte("hello\n")
		for range 30 {
			text = fmt.Appendf(text, "line %d %s\n", rng.IntN(1000), bytes.Repeat([]byte("x"), rng.IntN(300)))
		}
		whole := newWords(Config{}, 9999)
		whole.tcp(true, 1, text)
		want := said(whole.end(t))

		k := newWords(Config{}, 9999)
		isn := uint32(0xffffff00 + rng.IntN(512))
		k.frame(packettest.Frame{Src: k.c, Dst: k.s, Proto: 6, Flags: packet.SYN, Seq: isn})
		type part struct{ from, to int }
		var parts []part
		for at := 0; at < len(text); {
			n := 1 + rng.IntN(min(len(text)-at, []int{5, 200, 1400}[seed%3]))
			parts = append(parts, part{at, at + n})
			if rng.IntN(5) == 0 {
				parts = append(parts, part{max(0, at-rng.IntN(40)), min(len(text), at+n+rng.IntN(40))})
			}
			at += n
		}
		for i := range parts {
			j := i + rng.IntN(min(4, len(parts)-i))
			parts[i], parts[j] = parts[j], parts[i]
		}
		for _, s := range parts {
			k.tcp(true, isn+1+uint32(s.from), text[s.from:s.to])
		}
		got := said(k.end(t))
		c := k.parser("words")
		if c.Gaps += k.parser("unrecognised").Gaps; c.Gaps == 0 {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d: %s", seed, diff)
			}
		}
		gaps += c.Gaps
	}
	if gaps > 15 {
		t.Errorf("%d of 150 were given up", gaps)
	}
}

// TestSkippedBytes: what a parser does not want may be missing.
func TestSkippedBytes(t *testing.T) {
	t.Parallel()
	k := newWords(Config{}, 9999)
	k.tcp(true, 0, []byte("hello\nskip\n"))
	for at := 0; at < 100_000; at += 2000 { // every other thousand is lost
		k.tcp(true, uint32(11+at), make([]byte, 1000))
	}
	k.tcp(true, 11+100_000, []byte("after\n"))
	if _, used := k.p.streams.Stats(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
	if diff := cmp.Diff([]string{"0 hello", "0 after", "end"}, said(k.end(t))); diff != "" {
		t.Error(diff)
	}
}

func prefix(text string) func(int, []byte) bool {
	return func(_ int, b []byte) bool { return bytes.HasPrefix(b, []byte(text)) }
}
