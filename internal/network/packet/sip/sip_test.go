package sip_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/sip"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.GoldenDatagrams(t, "testdata/udp.pcap", 5060, sip.NewDatagrams())
	parsetest.GoldenDatagrams(t, "testdata/unanswered.pcap", 5064, sip.NewDatagrams())
	parsetest.Golden(t, "testdata/tcp.pcap", 5062, sip.NewStream)
}

// request and answer make messages of one call.
func request(method string, cseq int) string {
	return fmt.Sprintf("%s sip:bob:hunter2@b.example;x=1?h=hunter2 SIP/2.0\r\nFrom: \"A <x>\" <sip:alice:hunter2@a.example>;tag=1\r\nt: sip:bob@b.example;tag=2\r\nCall-ID: c1\r\nCSeq: %d %s\r\nUser-Agent: ua\r\nAuthorization: hunter2\r\nContent-Length: 2\r\n\r\nxx", method, cseq, method)
}

func answer(status, cseq int, method string) string {
	return fmt.Sprintf("SIP/2.0 %d Reason\r\nf: <sip:alice@a.example>\r\nTo: <sip:bob@b.example>\r\ni: c1\r\nCSeq: %d %s\r\nServer: sv\r\nl: 0\r\n\r\n", status, cseq, method)
}

type conversation struct {
	chunks []parsetest.Chunk
	want   string
	err    error
}

func cases() map[string]conversation {
	c, s := parsetest.C, parsetest.S
	return map[string]conversation{
		"a call": {[]parsetest.Chunk{
			c(request("INVITE", 1)), s(answer(100, 1, "INVITE")), c(request("INVITE", 1)), s(answer(180, 1, "INVITE")), s(answer(200, 1, "INVITE")), s(answer(200, 1, "INVITE")),
			c(request("ACK", 1)), s(request("BYE", 1)), c(answer(481, 1, "BYE")),
		}, "INVITE 200 4ms; ACK 0 0s; BYE 481 1ms", nil},
		"no final answer":  {[]parsetest.Chunk{c(request("INVITE", 1)), s(answer(100, 1, "INVITE")), s(answer(180, 1, "INVITE"))}, "INVITE 180 2ms", nil},
		"an answer alone":  {[]parsetest.Chunk{s(answer(200, 9, "OPTIONS")), s(answer(200, 9, "OPTIONS"))}, "OPTIONS 200 0s", nil},
		"keep-alive":       {[]parsetest.Chunk{c("\r\n\r\n"), c(request("OPTIONS", 1))}, "OPTIONS 0 0s", nil},
		"no call id":       {[]parsetest.Chunk{c(request("OPTIONS", 1)), c("OPTIONS sip:b SIP/2.0\r\nContent-Length: 0\r\n\r\n")}, "OPTIONS 0 0s", parse.ErrMalformed},
		"a bad number":     {[]parsetest.Chunk{c(request("OPTIONS", 1)), c("OPTIONS sip:b SIP/2.0\r\nCSeq: x y\r\n\r\n")}, "OPTIONS 0 0s", parse.ErrMalformed},
		"a header without": {[]parsetest.Chunk{c(request("OPTIONS", 1)), c("OPTIONS sip:b SIP/2.0\r\nwhat\r\n\r\n")}, "OPTIONS 0 0s", parse.ErrMalformed},
		"something else":   {[]parsetest.Chunk{c("GET / HTTP/1.1\r\n\r\n")}, "", parse.ErrNot},
	}
}

func check(t *testing.T, out *parse.Out, err error, tt conversation) {
	t.Helper()
	if !errors.Is(err, tt.err) {
		t.Errorf("it ended with %v, want %v", err, tt.err)
	}
	var got []string
	for _, r := range out.Records.SIP {
		got = append(got, fmt.Sprintf("%s %d %v", r.Method, r.Status, r.Latency))
		if r.Status < 400 && r.URI != "" && (r.URI != "sip:bob@b.example;x=1" || r.From != "sip:alice@a.example" || r.To != "sip:bob@b.example" || r.CallID != "c1" || r.Agent != "ua") {
			t.Errorf("%+v", r)
		}
	}
	if strings.Join(got, "; ") != tt.want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), tt.want)
	}
	if strings.Contains(parsetest.Rows(t, out), "hunter2") {
		t.Error("a secret left the parser")
	}
}

func TestDatagrams(t *testing.T) {
	t.Parallel()
	for name, tt := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, d := parsetest.NewOut(), sip.NewDatagrams()
			err := parsetest.RunDatagrams(d, out, parsetest.Talk(5060, tt.chunks...))
			d.Flush(out)
			check(t, out, err, tt)
		})
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	for name, tt := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(5060, tt.chunks...)
			out, stream := parsetest.NewOut(), sip.NewStream()
			check(t, out, parsetest.Run(stream, out, conv, nil), tt)
			for seed := range uint64(20) {
				parsetest.Cuts(t, stream, conv, seed)
			}
		})
	}
}

// TestExpire: a request that nobody answers is put out after its time, by the
// clock of the capture or when the pipeline asks.
func TestExpire(t *testing.T) {
	t.Parallel()
	out, d := parsetest.NewOut(), sip.NewDatagrams()
	talk := parsetest.Talk(5060, parsetest.C(request("INVITE", 1)), parsetest.C(request("OPTIONS", 2)))
	talk.Chunks[1].Time = talk.Chunks[0].Time.Add(4 * time.Minute)
	if err := parsetest.RunDatagrams(d, out, talk); err != nil || len(out.Records.SIP) != 1 {
		t.Fatalf("%v, %d rows", err, len(out.Records.SIP))
	}
	if d.Expire(out, talk.Chunks[1].Time); len(out.Records.SIP) != 1 {
		t.Error("it did not wait")
	}
	if d.Expire(out, talk.Chunks[1].Time.Add(1)); len(out.Records.SIP) != 2 {
		t.Error("it still waits")
	}
}

// TestMillion: a million requests that nobody answers are kept within bounds,
// and each is put out once.
func TestMillion(t *testing.T) {
	t.Parallel()
	out, d := parse.NewOut(100, 1<<20), sip.NewDatagrams()
	out.Session = parsetest.Talk(5060).Session
	const many = 1 << 20
	msg := []byte("OPTIONS sip:b SIP/2.0\r\nCall-ID: 00000000\r\nCSeq: 1 OPTIONS\r\n\r\n")
	at := strings.Index(string(msg), "00000000")
	for i := range many {
		for j := range 8 {
			msg[at+j] = "0123456789abcdef"[i>>(4*j)&15]
		}
		if i%1000 == 0 {
			out.Cut()
		}
		if err := d.Datagram(out, parse.Client, msg); err != nil {
			t.Fatal(err)
		}
	}
	d.Flush(out)
	if got := out.Rows + out.Over; got != many {
		t.Errorf("%d rows were put out or counted of %d", got, many)
	}
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for b, want := range map[string]bool{
		"INVITE sip:b SIP/2.0": true, "SIP/2.0 200 OK": true, "MESSAGE tel:+49 SIP/2.0": true,
		"": false, "INVITE": false, "OPTIONS * HTTP/1.1": false, "OPTIONS rtsp://h RTSP/1.0": false, "SIP/3": false,
	} {
		if sip.LooksLike(parse.Client, []byte(b)) != want {
			t.Errorf("%q: want %v", b, want)
		}
	}
}

func TestLinear(t *testing.T) {
	stream, d := sip.NewStream(), sip.NewDatagrams()
	for _, unit := range []string{"X: " + strings.Repeat("y", 20) + "\r\n", "f: \"" + strings.Repeat("\\", 20) + "\r\n", "x"} {
		data := func(n int) parsetest.Conversation {
			return parsetest.Talk(5060, parsetest.C("OPTIONS sip:b SIP/2.0\r\n"+strings.Repeat(unit, n)))
		}
		parsetest.Linear(t, 200, func(n int) { _ = parsetest.Run(stream, parsetest.NewOut(), data(n), func(int) int { return 1460 }) })
		parsetest.Linear(t, 200, func(n int) { _ = parsetest.RunDatagrams(d, parsetest.NewOut(), data(n)) })
	}
	parsetest.Linear(t, 200, func(n int) {
		_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(5060, parsetest.C(strings.Repeat(request("INFO", 1), n))), nil)
	})
}

func FuzzStream(f *testing.F) {
	parsetest.FuzzStream(f, sip.NewStream, parsetest.Conversations(f, "testdata/tcp.pcap", network.TCP, 5062)...)
}

func FuzzDatagrams(f *testing.F) {
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return sip.NewDatagrams() }, parsetest.Conversations(f, "testdata/udp.pcap", network.UDP, 5060)...)
}
