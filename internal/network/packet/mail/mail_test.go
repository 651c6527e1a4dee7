package mail_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/mail"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

type protocol struct {
	name string
	port uint16
	make func() parse.Stream
}

var protocols = []protocol{{"smtp", 25, mail.NewSMTP}, {"imap", 143, mail.NewIMAP}, {"pop3", 110, mail.NewPOP3}}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		parsetest.Golden(t, "testdata/"+p.name+".pcap", p.port, p.make)
	}
}

// TestNoPasswords: the password is in the captures, plain and in base64, and
// in no record; nor is the body of a message.
func TestNoPasswords(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		out := parsetest.NewOut()
		for _, c := range parsetest.Conversations(t, "testdata/"+p.name+".pcap", network.TCP, p.port) {
			_ = parsetest.Run(p.make(), out, c, nil)
		}
		rows := parsetest.Rows(t, out)
		for _, secret := range []string{"hunter2", "wrong", "aHVudGVyMg", "aHVudGVyM", "secret body", "AGFsaWNl"} {
			if strings.Contains(rows, secret) {
				t.Errorf("%s: %q left the parser:\n%s", p.name, secret, rows)
			}
		}
		if !strings.Contains(rows, `"user": "alice"`) {
			t.Errorf("%s: no user:\n%s", p.name, rows)
		}
	}
}

type conversation struct {
	chunks []parsetest.Chunk
	want   string
	err    error
}

func run(t *testing.T, port uint16, newStream func() parse.Stream, cases map[string]conversation) {
	t.Helper()
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(port, tt.chunks...)
			out, stream := parsetest.NewOut(), newStream()
			if err := parsetest.Run(stream, out, conv, nil); !errors.Is(err, tt.err) {
				t.Errorf("it ended with %v, want %v", err, tt.err)
			}
			got := ""
			for _, r := range out.Records.Mail {
				got = fmt.Sprintf("%s|%s|%s|%s|%s|%v", r.Banner, r.Hello, r.From, r.To, r.User, r.StartTLS)
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

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestSMTP(t *testing.T) {
	t.Parallel()
	c, s := parsetest.C, parsetest.S
	greet := s("220 mx ESMTP\r\n")
	run(t, 25, mail.NewSMTP, map[string]conversation{
		"a message": {[]parsetest.Chunk{
			greet, c("ehlo me\r\n"), s("250-mx\r\n250 SIZE\r\n"), c("MAIL FROM:<a@b> SIZE=5\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"),
			s("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"), c("AUTH PLAIN x\r\n.\r\n"),
		}, "mx ESMTP|me|a@b|c@d||false", parse.ErrDone},
		"the null sender":                      {[]parsetest.Chunk{greet, c("HELO me\r\n"), s("250 mx\r\n"), c("MAIL FROM:<>\r\n"), s("250 ok\r\n"), c("DATA\r\n"), s("354 go\r\n"), c("x")}, "mx ESMTP|me|<>|||false", parse.ErrDone},
		"STARTTLS":                             {[]parsetest.Chunk{greet, c("EHLO me\r\nSTARTTLS\r\n"), s("250 mx\r\n220 go\r\n"), c("\x16")}, "mx ESMTP|me||||true", parse.ErrTLS},
		"STARTTLS refused":                     {[]parsetest.Chunk{greet, c("EHLO me\r\n"), s("250 mx\r\n"), c("STARTTLS\r\n"), s("454 no\r\n"), c("RSET\r\n"), s("220 x\r\n")}, "mx ESMTP|me||||false", nil},
		"plain in two":                         {[]parsetest.Chunk{greet, c("EHLO me\r\n"), s("250 mx\r\n"), c("AUTH PLAIN\r\n"), s("334 \r\n"), c(b64("z\x00bob\x00hunter2") + "\r\n"), s("535 no\r\n"), c("QUIT\r\n")}, "mx ESMTP|me|||bob|false", nil},
		"login":                                {[]parsetest.Chunk{greet, c("EHLO me\r\n"), s("250 mx\r\n"), c("AUTH LOGIN " + b64("bob") + "\r\n"), s("334 x\r\n"), c(b64("hunter2") + "\r\n"), s("235 ok\r\n")}, "mx ESMTP|me|||bob|false", nil},
		"a password that looks like a command": {[]parsetest.Chunk{greet, c("EHLO me\r\n"), s("250 mx\r\n"), c("AUTH LOGIN\r\n"), s("334 x\r\n"), c(b64("bob") + "\r\n"), s("334 x\r\n"), c("MAIL FROM:<hunter2>\r\n")}, "mx ESMTP|me|||bob|false", nil},
		"oauth":                                {[]parsetest.Chunk{greet, c("EHLO me\r\n"), s("250 mx\r\n"), c("AUTH XOAUTH2 " + b64("user=bob\x01auth=Bearer hunter2\x01\x01") + "\r\n")}, "mx ESMTP|me|||bob|false", nil},
		"another kind":                         {[]parsetest.Chunk{greet, c("EHLO me\r\n"), s("250 mx\r\n"), c("AUTH NTLM " + b64("hunter2") + "\r\n")}, "mx ESMTP|me||||false", nil},
		"BDAT":                                 {[]parsetest.Chunk{greet, c("EHLO me\r\nMAIL FROM:<a@b>\r\nBDAT 4 LAST\r\nMAIL")}, "mx ESMTP|me|a@b|||false", parse.ErrDone},
		"refused":                              {[]parsetest.Chunk{s("554 go away\r\n")}, "go away|||||false", nil},
		"FTP":                                  {[]parsetest.Chunk{c("USER x\r\n")}, "", parse.ErrNot},
		"no reply":                             {[]parsetest.Chunk{greet, s("hello\r\n")}, "mx ESMTP|||||false", parse.ErrMalformed},
		"endless":                              {[]parsetest.Chunk{greet, c(strings.Repeat("NOOP\r\n", 1100))}, "mx ESMTP|||||false", parse.ErrDone},
	})
}

func TestIMAP(t *testing.T) {
	t.Parallel()
	c, s := parsetest.C, parsetest.S
	greet := s("* OK [CAPABILITY IMAP4rev1] ready\r\n")
	const banner = "[CAPABILITY IMAP4rev1] ready"
	run(t, 143, mail.NewIMAP, map[string]conversation{
		"quoted":             {[]parsetest.Chunk{greet, c("a login \"bob b\" \"hunter2\"\r\n"), s("a OK in\r\n"), c("b SELECT INBOX\r\n")}, banner + "||||bob b|false", parse.ErrDone},
		"atoms, refused":     {[]parsetest.Chunk{greet, c("a LOGIN bob hunter2\r\n"), s("a NO out\r\n"), c("b LOGIN eve hunter2\r\n"), s("b BAD\r\n")}, banner + "||||eve|false", nil},
		"literals":           {[]parsetest.Chunk{greet, c("a LOGIN {3}\r\n"), s("+ go\r\n"), c("bob {7}\r\n"), s("+ go\r\n"), c("hunter2\r\nb ID (\"name\" \"x\")\r\n")}, banner + "|x|||bob|false", nil},
		"literals at once":   {[]parsetest.Chunk{greet, c("a LOGIN {3+}\r\nbob {7+}\r\nhunter2\r\nb STARTTLS\r\n"), s("b OK\r\n")}, banner + "||||bob|true", parse.ErrTLS},
		"a literal refused":  {[]parsetest.Chunk{greet, c("a LOGIN {300}\r\n"), s("a NO too long\r\n"), c("b LOGIN bob x\r\n")}, banner + "||||bob|false", nil},
		"a large literal":    {[]parsetest.Chunk{greet, c("a APPEND x {99999999}\r\n")}, banner + "|||||false", parse.ErrDone},
		"id":                 {[]parsetest.Chunk{greet, c("a ID (\"vendor\" \"v\" \"version\" \"1\" \"NAME\" \"na\\\"me\")\r\n")}, banner + `|na\092"me 1||||false`, nil},
		"authenticate":       {[]parsetest.Chunk{greet, c("a AUTHENTICATE PLAIN\r\n"), s("+ \r\n"), c(b64("\x00bob\x00hunter2") + "\r\n"), s("a OK\r\n"), c("b NOOP\r\nc LIST \"\" *\r\n")}, banner + "||||bob|false", parse.ErrDone},
		"a server's literal": {[]parsetest.Chunk{greet, c("a STARTTLS\r\n"), s("* X {6}\r\na OK\r\n\r\na OK go\r\n")}, banner + "|||||true", parse.ErrTLS},
		"something else":     {[]parsetest.Chunk{c("GET / HTTP/1.1\r\n")}, "", parse.ErrNot},
		"no tag":             {[]parsetest.Chunk{greet, c("\r\n")}, banner + "|||||false", parse.ErrMalformed},
	})
}

func TestPOP3(t *testing.T) {
	t.Parallel()
	c, s := parsetest.C, parsetest.S
	greet := s("+OK ready\r\n")
	run(t, 110, mail.NewPOP3, map[string]conversation{
		"a login":        {[]parsetest.Chunk{greet, c("CAPA\r\n"), s("+OK\r\nUSER\r\n.\r\n"), c("USER bob\r\n"), s("+OK\r\n"), c("PASS hunter2\r\n"), s("+OK in\r\n")}, "ready||||bob|false", parse.ErrDone},
		"a failed one":   {[]parsetest.Chunk{greet, c("USER bob\r\n"), s("+OK\r\n"), c("PASS hunter2\r\n"), s("-ERR no\r\n"), c("USER eve\r\n")}, "ready||||eve|false", nil},
		"APOP":           {[]parsetest.Chunk{greet, c("APOP bob c4c9334bac560ecc979e58001b3e22fb\r\n"), s("+OK\r\n")}, "ready||||bob|false", parse.ErrDone},
		"STLS":           {[]parsetest.Chunk{greet, c("STLS\r\n"), s("+OK go\r\n"), c("\x16")}, "ready|||||true", parse.ErrTLS},
		"STLS refused":   {[]parsetest.Chunk{greet, c("STLS\r\n"), s("-ERR no\r\n"), c("NOOP\r\n"), s("+OK\r\n")}, "ready|||||false", nil},
		"AUTH LOGIN":     {[]parsetest.Chunk{greet, c("AUTH LOGIN\r\n"), s("+ x\r\n"), c(b64("bob") + "\r\n"), s("+ y\r\n"), c(b64("hunter2") + "\r\n"), s("+OK\r\n")}, "ready||||bob|false", parse.ErrDone},
		"something else": {[]parsetest.Chunk{s("220 x\r\n")}, "", parse.ErrNot},
		"no status":      {[]parsetest.Chunk{greet, c("NOOP\r\n"), s("what\r\n")}, "ready|||||false", parse.ErrMalformed},
	})
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		side int
		b    string
		want string // which protocols
	}{
		{parse.Server, "220 mx ESMTP Exim\r\n", "smtp greets"},
		{parse.Server, "220 mx ready\r\n", "greets"},
		{parse.Server, "220 (vsFTPd 3.0.3)\r\n", ""},
		{parse.Server, "* OK ready\r\n", "imap"},
		{parse.Server, "+OK ready\r\n", "pop3"},
		{parse.Server, "+OK\r\n", ""}, // Redis says so too
		{parse.Server, "2", ""},
		{parse.Client, "EHLO x\r\n", "smtp greets"},
		{parse.Client, "a1 CAPABILITY\r\n", "imap"},
		{parse.Client, "a1 LOGIN x y\r\n", "imap"},
		{parse.Client, "GET / HTTP/1.1\r\n", ""},
		{parse.Client, "CAPA\r\n", "pop3"},
		{parse.Client, "USER x\r\n", ""},
		{parse.Client, "x", ""},
	} {
		var got []string
		for name, f := range map[string]func(int, []byte) bool{"smtp": mail.LooksLikeSMTP, "imap": mail.LooksLikeIMAP, "pop3": mail.LooksLikePOP3} {
			if f(tt.side, []byte(tt.b)) {
				got = append(got, name)
			}
		}
		if mail.GreetsSMTP(tt.side, []byte(tt.b)) {
			got = append(got, "greets")
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q is taken for %v, want %q", tt.b, got, tt.want)
		}
	}
}

func TestLinear(t *testing.T) {
	for _, p := range protocols {
		stream := p.make()
		begin := map[string]string{"smtp": "220 x\r\n", "imap": "* OK x\r\n", "pop3": "+OK x\r\n"}[p.name]
		for _, unit := range []string{"a NOOP\r\n", "x", "a LOGIN {1+}\r\nx {1+}\r\ny\r\n", "a ID (" + strings.Repeat(`"a" "b" `, 20) + ")\r\n"} {
			parsetest.Linear(t, 200, func(n int) {
				_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(p.port, parsetest.S(begin), parsetest.C(strings.Repeat(unit, n))), func(int) int { return 1460 })
			})
		}
	}
}

func FuzzSMTP(f *testing.F) { fuzz(f, protocols[0]) }
func FuzzIMAP(f *testing.F) { fuzz(f, protocols[1]) }
func FuzzPOP3(f *testing.F) { fuzz(f, protocols[2]) }

func fuzz(f *testing.F, p protocol) {
	parsetest.FuzzStream(f, p.make, parsetest.Conversations(f, "testdata/"+p.name+".pcap", network.TCP, p.port)...)
}
