package socks_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/socks"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/dante.pcap", 1080, socks.New)
	parsetest.Golden(t, "testdata/password.pcap", 1081, socks.New)
}

// TestNoPasswords: the password is in the capture, and in no record.
func TestNoPasswords(t *testing.T) {
	t.Parallel()
	out := parsetest.NewOut()
	for _, c := range parsetest.Conversations(t, "testdata/password.pcap", network.TCP, 1081) {
		_ = parsetest.Run(socks.New(), out, c, nil)
	}
	if rows := parsetest.Rows(t, out); strings.Contains(rows, "hunter2") || !strings.Contains(rows, "alice") {
		t.Errorf("a password left the parser:\n%s", rows)
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
		"4":                     {[]parsetest.Chunk{c("\x04\x01\x00\x50\xc0\x00\x02\x07me\x00"), s("\x00\x5a\x00\x00\x00\x00\x00\x00"), c("GET")}, "4 connect 192.0.2.7  80 me true 90", parse.ErrAgain},
		"4a refused":            {[]parsetest.Chunk{c("\x04\x01\x01\xbb\x00\x00\x00\x01\x00A.example\x00"), s("\x00\x5b\x00\x00\x00\x00\x00\x00")}, "4 connect invalid IP a.example 443  true 91", parse.ErrDone},
		"4 bind":                {[]parsetest.Chunk{c("\x04\x02\x00\x50\xc0\x00\x02\x07\x00"), s("\x00\x5a\x00\x00\x00\x00\x00\x00")}, "4 bind 192.0.2.7  80  true 90", parse.ErrDone},
		"4 without an answer":   {[]parsetest.Chunk{c("\x04\x01\x00\x50\xc0\x00\x02\x07\x00")}, "4 connect 192.0.2.7  80  false 0", nil},
		"5 by name":             {[]parsetest.Chunk{c("\x05\x01\x00"), s("\x05\x00"), c("\x05\x01\x00\x03\x09b.example\x00\x16"), s("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00SSH-")}, "5 connect invalid IP b.example 22  true 0", parse.ErrAgain},
		"5 all at once":         {[]parsetest.Chunk{c("\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50GET"), s("\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")}, "5 connect 192.0.2.7  80  true 0", parse.ErrAgain},
		"5 password":            {[]parsetest.Chunk{c("\x05\x02\x00\x02"), s("\x05\x02"), c("\x01\x02me\x02pw"), s("\x01\x00"), c("\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"), s("\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00")}, "5 udp 0.0.0.0  0 me true 7", parse.ErrDone},
		"5 no method":           {[]parsetest.Chunk{c("\x05\x01\x00"), s("\x05\xff")}, "", parse.ErrDone},
		"5 wrong password":      {[]parsetest.Chunk{c("\x05\x01\x02"), s("\x05\x02"), c("\x01\x01a\x01b"), s("\x01\x01")}, "", parse.ErrDone},
		"5 no such address":     {[]parsetest.Chunk{c("\x05\x01\x00"), s("\x05\x00"), c("\x05\x01\x00\x07\x09")}, "", parse.ErrMalformed},
		"5 and HTTP":            {[]parsetest.Chunk{c("\x05\x01\x00"), s("HTTP/1.1")}, "", parse.ErrMalformed},
		"something else":        {[]parsetest.Chunk{c("GET /")}, "", parse.ErrNot},
		"4 with a binary user":  {[]parsetest.Chunk{c("\x04\x01\x00\x50\xc0\x00\x02\x07\xff\x01\x00")}, "", parse.ErrNot},
		"4 with an endless one": {[]parsetest.Chunk{c("\x04\x01\x00\x50\xc0\x00\x02\x07" + strings.Repeat("x", 600))}, "", parse.ErrNot},
		"data before the answer": {[]parsetest.Chunk{c("\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50" + strings.Repeat("x", 20000))},
			"5 connect 192.0.2.7  80  false 0", parse.ErrDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(1080, tt.chunks...)
			out, stream := parsetest.NewOut(), socks.New()
			if err := parsetest.Run(stream, out, conv, nil); !errors.Is(err, tt.err) {
				t.Errorf("it ended with %v, want %v", err, tt.err)
			}
			got := ""
			for _, r := range out.Records.SOCKS {
				got = fmt.Sprintf("%d %s %v %s %d %s %v %d", r.Version, r.Command, r.Addr, r.Host, r.Port, r.User, r.Answered, r.Reply)
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
		"\x05\x01\x00": true, "\x05\x03\x00\x01\x02": true, "\x04\x01\x00\x50\xc0\x00\x02\x07me\x00": true, "\x05\x01\x00\x05\x01": true,
		"": false, "\x05": false, "\x05\x00\x00": false, "\x05\x01\x44": false, "\x05\x01\x00\x99": false,
		"\x04\x01\x00\x50\xc0\x00\x02\x07me": false, "\x04\x01\x00\x00\xc0\x00\x02\x07\x00": false, "\x04\x03\x00\x50\xc0\x00\x02\x07\x00": false,
	} {
		if socks.LooksLike(parse.Client, []byte(b)) != want {
			t.Errorf("%q: want %v", b, want)
		}
	}
	if socks.LooksLike(parse.Server, []byte("\x05\x01\x00")) {
		t.Error("a server does not speak first")
	}
}

func TestLinear(t *testing.T) {
	stream := socks.New()
	parsetest.Linear(t, 100, func(n int) {
		_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(1080, parsetest.C("\x04\x01\x00\x50\xc0\x00\x02\x07"+strings.Repeat("x", n)+"\x00")), func(int) int { return 64 })
	})
	parsetest.Linear(t, 100, func(n int) {
		_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(1080, parsetest.C("\x05\x01\x02"+strings.Repeat("\x01\x01a\x01b", n))), func(int) int { return 64 })
	})
}

func FuzzStream(f *testing.F) {
	seeds := parsetest.Conversations(f, "testdata/dante.pcap", network.TCP, 1080)
	parsetest.FuzzStream(f, socks.New, append(seeds, parsetest.Conversations(f, "testdata/password.pcap", network.TCP, 1081)...)...)
}
