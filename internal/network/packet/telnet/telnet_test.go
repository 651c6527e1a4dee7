package telnet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/telnet"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/telnet.pcap", 23, telnet.New)
}

// TestNothingTyped: what a person typed is in the capture, and in no record.
func TestNothingTyped(t *testing.T) {
	t.Parallel()
	out := parsetest.NewOut()
	for _, c := range parsetest.Conversations(t, "testdata/telnet.pcap", network.TCP, 23) {
		_ = parsetest.Run(telnet.New(), out, c, nil)
	}
	if rows := parsetest.Rows(t, out); strings.Contains(rows, "hunter2") || strings.Contains(rows, "alice") || !strings.Contains(rows, "xterm") {
		t.Errorf("what was typed left the parser:\n%s", rows)
	}
}

func TestConversations(t *testing.T) {
	t.Parallel()
	c, s := parsetest.C, parsetest.S
	for name, tt := range map[string]struct {
		chunks []parsetest.Chunk
		want   string
		err    error
	}{
		"a login": {[]parsetest.Chunk{
			s("\xff\xfd\x18\xff\xfd\x1f\xff\xfb\x01"), c("\xff\xfb\x18\xff\xfc\x1f\xff\xfd\x01"), s("\xff\xfa\x18\x01\xff\xf0"), c("\xff\xfa\x18\x00VT\xff\xff220\xff\xf0"),
			s("\r\n  Hello\r\n\x00 \xff\xff there\r\nlogin: "), c("root\r\n"), s("Password: "),
		}, `Hello \255 there login:|vt\255220|1,24`, parse.ErrDone},
		"compression":             {[]parsetest.Chunk{s("\xff\xfb\x56"), c("\xff\xfd\x56"), s("\xff\xfa\x56\xff\xf0\x78\x9c")}, "||86", parse.ErrDone},
		"text":                    {[]parsetest.Chunk{s("login: ")}, "", parse.ErrNot},
		"no such command":         {[]parsetest.Chunk{s("\xff\xfb\x01\xff\x10")}, "||", parse.ErrMalformed},
		"a server that won't end": {[]parsetest.Chunk{s("\xff\xfb\x01" + strings.Repeat("x", 20000))}, strings.Repeat("x", 200) + "||", parse.ErrDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(23, tt.chunks...)
			out, stream := parsetest.NewOut(), telnet.New()
			if err := parsetest.Run(stream, out, conv, nil); !errors.Is(err, tt.err) {
				t.Errorf("it ended with %v, want %v", err, tt.err)
			}
			got := ""
			for _, r := range out.Records.Telnet {
				got = fmt.Sprintf("%s|%s|%s", r.Banner, r.Terminal, r.Options)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for seed := range uint64(20) {
				parsetest.Cuts(t, stream, conv, seed)
			}
		})
	}
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for b, want := range map[string]bool{
		"\xff\xfd\x18\xff\xfb\x01": true, "\xff\xfb\x01": true, "\xff\xfb\x01login:": true,
		"": false, "\xff\xfb": false, "\xff\x10\x01": false, "\xff\xfb\x90\x00": false, "login:": false,
	} {
		if telnet.LooksLike(parse.Server, []byte(b)) != want {
			t.Errorf("%q: want %v", b, want)
		}
	}
}

func TestLinear(t *testing.T) {
	stream := telnet.New()
	for _, unit := range []string{"\xff\xfb\x01", "x", "\xff\xfa\x18\x00VT\xff\xf0"} {
		parsetest.Linear(t, 400, func(n int) {
			_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(23, parsetest.S("\xff\xfb\x01"+strings.Repeat(unit, n))), func(int) int { return 1460 })
		})
	}
}

func FuzzStream(f *testing.F) {
	parsetest.FuzzStream(f, telnet.New, parsetest.Conversations(f, "testdata/telnet.pcap", network.TCP, 23)...)
}
