package rtsp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/rtsp"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/rtsp.pcap", 554, rtsp.New)
	parsetest.Golden(t, "testdata/play.pcap", 8554, rtsp.New)
}

func TestConversations(t *testing.T) {
	t.Parallel()
	c, s := parsetest.C, parsetest.S
	const options = "OPTIONS rtsp://u:hunter2@cam:554/a?t=hunter2 RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: ua\r\nAuthorization: hunter2\r\n\r\n"
	for name, tt := range map[string]struct {
		chunks []parsetest.Chunk
		want   string
		err    error
	}{
		"a request": {[]parsetest.Chunk{c(options), s("RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: sv\r\n\r\n")}, "OPTIONS rtsp://cam:554/a ua sv 200", nil},
		"out of order, with bodies and media": {[]parsetest.Chunk{
			c("DESCRIBE * RTSP/2.0\r\ncseq: 1\r\n\r\nPLAY * RTSP/2.0\r\nCSeq: 2\r\nContent-Length: 4\r\n\r\n\r\n\r\n$\x00\x00\x02xy"),
			s("RTSP/2.0 100 Wait\r\nCSeq: 2\r\n\r\nRTSP/2.0 200 OK\r\nCSeq: 2\r\n\r\n$\x01\x00\x04RTSPRTSP/2.0 404 No\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc$\x00\x00\x00"),
		}, "PLAY *   200; DESCRIBE *   404", nil},
		"the server asks":              {[]parsetest.Chunk{c(options), s("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"), c("RTSP/1.0 501 No\r\nCSeq: 1\r\n\r\n")}, "OPTIONS *   501; OPTIONS rtsp://cam:554/a ua  0", nil},
		"an answer without its number": {[]parsetest.Chunk{c(options), s("RTSP/1.0 501 No\r\n\r\n")}, "OPTIONS rtsp://cam:554/a ua  501", nil},
		"HTTP":                         {[]parsetest.Chunk{c("GET / HTTP/1.1\r\n\r\n")}, "", parse.ErrNot},
		"no number":                    {[]parsetest.Chunk{c("PLAY * RTSP/1.0\r\nCSeq: x\r\n\r\n")}, "", parse.ErrMalformed},
		"a large body":                 {[]parsetest.Chunk{c("PLAY * RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n")}, "", parse.ErrMalformed},
		"many waiting":                 {[]parsetest.Chunk{c(strings.Repeat("PLAY * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 20))}, strings.TrimSuffix(strings.Repeat("PLAY *   0; ", 20), "; "), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conv := parsetest.Talk(554, tt.chunks...)
			out, stream := parsetest.NewOut(), rtsp.New()
			if err := parsetest.Run(stream, out, conv, nil); !errors.Is(err, tt.err) {
				t.Errorf("it ended with %v, want %v", err, tt.err)
			}
			var got []string
			for _, r := range out.Records.RTSP {
				got = append(got, fmt.Sprintf("%s %s %s %s %d", r.Method, r.URL, r.Agent, r.Server, r.Status))
			}
			if strings.Join(got, "; ") != tt.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), tt.want)
			}
			if strings.Contains(parsetest.Rows(t, out), "hunter2") {
				t.Error("a secret left the parser")
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
		"OPTIONS rtsp://h/ RTSP/1.0": true, "DESCRIBE rtsps://h": true, "OPTIONS * RTSP/1.0": true,
		"OPTIONS * HTTP/1.1": false, "GET rtsp://h": false, "": false, "OPTIONS": false,
	} {
		if rtsp.LooksLike(parse.Client, []byte(b)) != want {
			t.Errorf("%q: want %v", b, want)
		}
	}
	if !rtsp.LooksLike(parse.Server, []byte("RTSP/1.0 200 OK")) || rtsp.LooksLike(parse.Server, []byte("RTSP/1.1 ")) {
		t.Error("answers are mistaken")
	}
}

func TestLinear(t *testing.T) {
	stream := rtsp.New()
	const begin = "PLAY * RTSP/1.0\r\n\r\n"
	for _, unit := range []string{begin, "$\x00\x00\x01x", "PLAY * RTSP/1.0\r\nX: " + strings.Repeat("y", 99) + "\r\n\r\n", "x"} {
		parsetest.Linear(t, 200, func(n int) {
			_ = parsetest.Run(stream, parsetest.NewOut(), parsetest.Talk(554, parsetest.C(begin+strings.Repeat(unit, n))), func(int) int { return 1460 })
		})
	}
}

func FuzzStream(f *testing.F) {
	parsetest.FuzzStream(f, rtsp.New, append(parsetest.Conversations(f, "testdata/rtsp.pcap", network.TCP, 554),
		parsetest.Conversations(f, "testdata/play.pcap", network.TCP, 8554)...)...)
}
