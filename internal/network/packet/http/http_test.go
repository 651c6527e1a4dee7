package http_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/http"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/curl.pcap", 80, http.New)
	parsetest.Golden(t, "testdata/pipelined.pcap", 80, http.New)
	parsetest.Golden(t, "testdata/h2c.pcap", 82, http.New)
}

// brief is a row in short.
func brief(r network.HTTP) string {
	return fmt.Sprintf("%s %s %s%s %d %d", r.Version, r.Method, r.Host, r.Path, r.Status, r.Length)
}

func TestConversations(t *testing.T) {
	t.Parallel()
	c, s := parsetest.C, parsetest.S
	const get = "GET /a HTTP/1.1\r\nHost: H\r\n\r\n"
	for name, tt := range map[string]struct {
		chunks []parsetest.Chunk
		want   string
		err    error
	}{
		"counted bodies": {[]parsetest.Chunk{
			c("POST /p?pw=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /" + get),
			s("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
		}, "1.1 POST h/p 200 9; 1.1 GET h/a 404 0", nil},
		"chunked with extension and trailer": {[]parsetest.Chunk{
			c(get + get), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
		}, "1.1 GET h/a 200 0; 1.1 GET h/a 204 0", nil},
		"HEAD and 304 have no body": {[]parsetest.Chunk{
			c("HEAD /h HTTP/1.1\r\n\r\n" + get), s("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
			c(get), s("HTTP/1.0 500 Oops\r\n\r\nuntil the end"),
		}, "1.1 HEAD /h 200 99; 1.1 GET h/a 304 7; 1.1 GET h/a 500 0", parse.ErrDone},
		"a tunnel": {[]parsetest.Chunk{
			c("CONNECT in.example:443 HTTP/1.1\r\nHost: in.example:443\r\nProxy-Authorization: Basic eDp5\r\n\r\n"), s("HTTP/1.1 200 Connection established\r\n\r\n"), c("\x16\x03"),
		}, "1.1 CONNECT in.example:443in.example:443 200 0", parse.ErrAgain},
		"a tunnel refused": {[]parsetest.Chunk{
			c("CONNECT in.example:443 HTTP/1.1\r\n\r\n"), s("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), c(get),
		}, "1.1 CONNECT in.example:443 403 2; 1.1 GET h/a 0 0", nil},
		"user information of a proxied request": {[]parsetest.Chunk{
			c("GET http://user:pw@out.example/x?y HTTP/1.1\r\nHost: out.example\r\n\r\n"),
		}, "1.1 GET out.examplehttp://out.example/x 0 0", nil},
		"h2c by upgrade": {[]parsetest.Chunk{
			c("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n"), s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\x00"),
		}, "1.1 GET h/ 101 0; 2  h 0 0", parse.ErrHTTP2},
		"websocket": {[]parsetest.Chunk{
			c("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"), s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81"),
		}, "1.1 GET / 101 0", parse.ErrDone},
		"h2 preface":      {[]parsetest.Chunk{c("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00")}, "2   0 0", parse.ErrDone},
		"an answer alone": {[]parsetest.Chunk{s("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")}, "1.1   200 1", nil},
		"an answer to half a request": {[]parsetest.Chunk{
			c("GET /slow HTTP/1.1\r\nHost: h\r\n"), s("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"), c("User-Agent: late\r\n\r\n"),
		}, "1.1 GET h/slow 408 0", nil},
		"not HTTP":                       {[]parsetest.Chunk{c("HELO there\r\n")}, "", parse.ErrNot},
		"version 3":                      {[]parsetest.Chunk{c("GET / HTTP/3.0\r\n\r\n")}, "", parse.ErrNot},
		"two lengths":                    {[]parsetest.Chunk{c("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")}, "1.1 POST / 0 0", parse.ErrMalformed},
		"a length that is none":          {[]parsetest.Chunk{c("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")}, "1.1 POST / 0 0", parse.ErrMalformed},
		"a header without a colon":       {[]parsetest.Chunk{c("GET / HTTP/1.1\r\nwhat\r\n\r\n")}, "1.1 GET / 0 0", parse.ErrMalformed},
		"a bad chunk":                    {[]parsetest.Chunk{c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")}, "1.1 POST / 0 0", parse.ErrMalformed},
		"an endless head":                {[]parsetest.Chunk{c("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 70000))}, "1.1 GET / 0 0", parse.ErrMalformed},
		"too many waiting requests":      {[]parsetest.Chunk{c(strings.Repeat(get, 33))}, strings.TrimSuffix(strings.Repeat("1.1 GET h/a 0 0; ", 32), "; "), parse.ErrDone},
		"a request line over its length": {[]parsetest.Chunk{c("GET /?" + strings.Repeat("x", 9000) + " HTTP/1.1\r\nHost: h\r\n\r\n")}, "1.1 GET h/ 0 0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(80, tt.chunks...)
			out := parsetest.NewOut()
			stream := http.New()
			if err := parsetest.Run(stream, out, conv, nil); !errors.Is(err, tt.err) {
				t.Errorf("it ended with %v, want %v", err, tt.err)
			}
			var got []string
			for _, r := range out.Records.HTTP {
				got = append(got, brief(r))
			}
			if s := strings.Join(got, "; "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
			for seed := range uint64(20) {
				parsetest.Cuts(t, stream, conv, seed)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	out := parsetest.NewOut()
	conv := parsetest.Talk(80,
		parsetest.C("GET / HTTP/1.0\r\nhOST:  Big.Example \r\nUser-Agent: a\x01b\r\nCookie: secret=1\r\nAuthorization: Basic secret\r\n\r\n"),
		parsetest.S("HTTP/1.0 200\r\nServer: s/1\r\nContent-Type: text/HTML; charset=x\r\nSet-Cookie: secret=2\r\nContent-Length: 0\r\n\r\n"))
	if err := parsetest.Run(http.New(), out, conv, nil); err != nil {
		t.Fatal(err)
	}
	r := out.Records.HTTP[0]
	if r.Host != "big.example" || r.Agent != `a\001b` || r.Software != "s/1" || r.ContentType != "text/html; charset=x" || r.Latency != 1e6 {
		t.Errorf("%+v", r)
	}
	if strings.Contains(parsetest.Rows(t, out), "secret") {
		t.Error("a secret left the parser")
	}
}

func TestLooksLike2(t *testing.T) {
	t.Parallel()
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04"
	for n := range len(preface) {
		if got := http.LooksLike2(parse.Client, []byte(preface[:n])); got != (n >= 16) {
			t.Errorf("%q: %v", preface[:n], got)
		}
	}
	if http.LooksLike2(parse.Server, []byte(preface)) || http.LooksLike2(parse.Client, []byte("PRI * HTTP/2.0\r\n\r\nSN")) {
		t.Error("a preface that is none is known")
	}
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"GET / HTTP/1.1\r\n", "CONNECT h:1 HTTP/1.1\r\n", "OPTIONS * HTTP/1.1", "POST http://h/ "} {
		if !http.LooksLike(parse.Client, []byte(b)) {
			t.Errorf("%q is not known", b)
		}
	}
	for _, b := range []string{"", "G", "GET", "GET x", "OPTIONS rtsp://h RTSP/1.0", "OPTIONS * RTSP/1.0", "OPTIONS sip:h SIP/2.0", "HTTP/1.1 200", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		if http.LooksLike(parse.Client, []byte(b)) {
			t.Errorf("%q is taken for a request", b)
		}
	}
	if !http.LooksLike(parse.Server, []byte("HTTP/1.1 200 OK")) || http.LooksLike(parse.Server, []byte("HTTP/2.0 200")) || http.LooksLike(parse.Server, nil) {
		t.Error("answers are mistaken")
	}
}

func TestLinear(t *testing.T) {
	stream := http.New()
	for _, unit := range []string{
		"X-Header: " + strings.Repeat("v", 40) + "\r\n", "x", "\r\n", "1\r\nx\r\n", "GET / HTTP/1.1\r\n\r\n",
	} {
		head := "GET / HTTP/1.1\r\n"
		if unit[0] == '1' {
			head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		}
		parsetest.Linear(t, 200, func(n int) {
			_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(80, parsetest.C(head+strings.Repeat(unit, n))), func(int) int { return 1460 })
		})
	}
}

// TestAllocations: a connection on which nothing new is said allocates nothing.
func TestAllocations(t *testing.T) {
	stream, out := http.New(), parsetest.NewOut()
	get, answer := []byte("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
	if n := testing.AllocsPerRun(100, func() {
		out.Records.HTTP = out.Records.HTTP[:0]
		_, _ = stream.Next(out, parse.Client, get)
		_, _ = stream.Next(out, parse.Server, answer)
	}); n > 0.1 {
		t.Errorf("%v allocations a request", n)
	}
	if len(out.Records.HTTP) != 1 {
		t.Error("no row")
	}
}

func FuzzStream(f *testing.F) {
	var seeds []parsetest.Conversation
	for path, port := range map[string]uint16{"curl": 80, "pipelined": 80, "h2c": 82} {
		seeds = append(seeds, parsetest.Conversations(f, filepath.Join("testdata", path+".pcap"), network.TCP, port)...)
	}
	seeds = append(seeds, parsetest.Talk(80, parsetest.C("CONNECT a:1 HTTP/1.1\r\n\r\n"), parsetest.S("HTTP/1.1 200 OK\r\n\r\n")),
		parsetest.Talk(80, parsetest.C("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA;b\r\n0123456789\r\n0\r\nX: y\r\n\r\n")))
	parsetest.FuzzStream(f, http.New, seeds...)
}
