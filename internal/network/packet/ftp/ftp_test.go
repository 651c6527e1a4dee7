package ftp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/ftp"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/ftp.pcap", 21, ftp.New)
}

// TestNoPasswords: what was typed as one is in the capture, and in no record.
func TestNoPasswords(t *testing.T) {
	t.Parallel()
	out := parsetest.NewOut()
	for _, c := range parsetest.Conversations(t, "testdata/ftp.pcap", network.TCP, 21) {
		_ = parsetest.Run(ftp.New(), out, c, nil)
	}
	if rows := parsetest.Rows(t, out); strings.Contains(rows, "hunter2") || !strings.Contains(rows, "anonymous") {
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
		"a long greeting": {[]parsetest.Chunk{
			s("220-Welcome\r\n230 not yet\r\n 220 nor this\r\n220 ready\r\n"), c("USER bob\r\nPASS x\r\nACCT y\r\n"), s("331 \r\n230-hi\r\n230 in\r\n"),
			c("retr a b.txt\r\nSTOR \xff\r\nLIST c\r\n"),
		}, `Welcome,bob,true,false,[RETR a b.txt STOR \255]`, nil},
		"TLS":             {[]parsetest.Chunk{s("220 x\r\n"), c("AUTH TLS\r\n"), s("234 go\r\n"), c("\x16\x03\x01")}, "x,,false,true,[]", parse.ErrTLS},
		"TLS refused":     {[]parsetest.Chunk{s("220 x\r\n"), c("AUTH TLS\r\n"), s("534 no\r\n"), c("USER a\r\n"), s("234 odd\r\n")}, "x,a,false,false,[]", nil},
		"no reply":        {[]parsetest.Chunk{s("220 x\r\n"), c("USER\r\n"), s("nonsense\r\n")}, "x,,false,false,[]", parse.ErrMalformed},
		"something else":  {[]parsetest.Chunk{c("GET / HTTP/1.1\r\n")}, "", parse.ErrNot},
		"a server's word": {[]parsetest.Chunk{s("200 OK\r\n")}, "", parse.ErrNot},
		"interrupted":     {[]parsetest.Chunk{s("220 x\r\n"), c("\xff\xf4\xff\xf2ABOR\r\nUSER z\r\n")}, "x,z,false,false,[]", nil},
		"many files":      {[]parsetest.Chunk{s("220 x\r\n"), c(strings.Repeat("DELE f\r\n", 20))}, "x,,false,false,[" + strings.TrimSpace(strings.Repeat("DELE f ", 16)) + "]", nil},
		"endless":         {[]parsetest.Chunk{s("220 x\r\n"), c(strings.Repeat("NOOP\r\n", 5000))}, "x,,false,false,[]", parse.ErrDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(21, tt.chunks...)
			out, stream := parsetest.NewOut(), ftp.New()
			if err := parsetest.Run(stream, out, conv, nil); !errors.Is(err, tt.err) {
				t.Errorf("it ended with %v, want %v", err, tt.err)
			}
			got := ""
			for _, r := range out.Records.FTP {
				got = fmt.Sprintf("%s,%s,%v,%v,%v", r.Banner, r.User, r.LoggedIn, r.StartTLS, r.Files)
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
	for _, tt := range []struct {
		side         int
		b            string
		looks, greet bool
	}{
		{parse.Server, "220 (vsFTPd 3.0.3)\r\n", true, true},
		{parse.Server, "220-FileZilla Server\r\n220 Please visit\r\n", false, true},
		{parse.Server, "220 mail ESMTP Exim\r\n", false, false},
		{parse.Server, "220 sftp.example ESMTP\r\n", false, false},
		{parse.Server, "220", false, false},
		{parse.Client, "USER bob\r\n", true, true},
		{parse.Client, "USER guest 0 * :Ron\r\n", false, false},
		{parse.Client, "AUTH TLS\r\n", true, true},
		{parse.Client, "AUTH LOGIN\r\n", false, false},
		{parse.Client, "EHLO x\r\n", false, false},
	} {
		if ftp.LooksLike(tt.side, []byte(tt.b)) != tt.looks || ftp.Greets(tt.side, []byte(tt.b)) != tt.greet {
			t.Errorf("%q: want %v, %v", tt.b, tt.looks, tt.greet)
		}
	}
}

func TestLinear(t *testing.T) {
	stream := ftp.New()
	for _, unit := range []string{"NOOP\r\n", "x", "RETR " + strings.Repeat("y", 90) + "\r\n"} {
		parsetest.Linear(t, 900, func(n int) {
			_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(21, parsetest.S("220 x\r\n"), parsetest.C(strings.Repeat(unit, n))), func(int) int { return 1460 })
		})
	}
}

func FuzzStream(f *testing.F) {
	seeds := parsetest.Conversations(f, "testdata/ftp.pcap", network.TCP, 21)
	seeds = append(seeds, parsetest.Talk(21, parsetest.S("220-a\r\n220 b\r\n"), parsetest.C("AUTH TLS\r\n"), parsetest.S("234 go\r\n")))
	parsetest.FuzzStream(f, ftp.New, seeds...)
}
