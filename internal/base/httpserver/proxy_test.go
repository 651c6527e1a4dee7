package httpserver

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// binaryHeader makes a header of version 2.
func binaryHeader(command, family byte, body []byte) string {
	return proxySignature + string([]byte{0x20 | command, family, byte(len(body) >> 8), byte(len(body))}) + string(body)
}

var (
	inetBody  = []byte{192, 0, 2, 1, 192, 0, 2, 9, 0xdc, 0x04, 0x01, 0xbb}
	inet6Body = append(append(netip.MustParseAddr("2001:db8::1").AsSlice(), netip.MustParseAddr("2001:db8::9").AsSlice()...), 0xdc, 0x04, 0x01, 0xbb)
)

var proxyHeaders = []struct {
	name, text string
	want       string // "" is the connection's own address
	err        string
}{
	{"v1 over IPv4", "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n", "192.0.2.1:56324", ""},
	{"v1 over IPv6", "PROXY TCP6 2001:db8::1 2001:db8::9 56324 443\r\n", "[2001:db8::1]:56324", ""},
	{"v1 of something else", "PROXY UNKNOWN\r\n", "", ""},
	{"v1 of something else with addresses", "PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n", "", ""},
	{"v1 with another family's address", "PROXY TCP4 2001:db8::1 2001:db8::9 56324 443\r\n", "", "no source"},
	{"v1 with a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 56324 443\r\n", "", "no source"},
	{"v1 with a port too high", "PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n", "", "no source"},
	{"v1 of UDP", "PROXY UDP4 192.0.2.1 192.0.2.9 56324 443\r\n", "", "no line of version 1"},
	{"v1 that lacks ports", "PROXY TCP4 192.0.2.1 192.0.2.9\r\n", "", "no line of version 1"},
	{"v1 without end", "PROXY " + strings.Repeat("x", 200), "", "more than 107 bytes"},
	{"v2 over IPv4", binaryHeader(1, 0x11, inetBody), "192.0.2.1:56324", ""},
	{"v2 over IPv6", binaryHeader(1, 0x21, inet6Body), "[2001:db8::1]:56324", ""},
	{"v2 with extensions", binaryHeader(1, 0x11, append(bytes.Clone(inetBody), 3, 0, 4, 1, 2, 3, 4)), "192.0.2.1:56324", ""},
	{"v2 of the proxy itself", binaryHeader(0, 0, nil), "", ""},
	{"v2 of a unix socket", binaryHeader(1, 0x31, make([]byte, 216)), "", ""},
	{"v2 too short", binaryHeader(1, 0x21, inetBody), "", "too few"},
	{"v2 too long", binaryHeader(1, 0x11, make([]byte, maxProxyBody+1)), "", "at most 4096"},
	{"v2 with an unknown command", binaryHeader(2, 0x11, inetBody), "", "not known"},
	{"no header", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "there is none"},
	{"nothing", "", "", "there is none"},
}

func TestProxyHeader(t *testing.T) {
	t.Parallel()
	for _, tc := range proxyHeaders {
		in := bufio.NewReaderSize(strings.NewReader(tc.text+"rest"), 512)
		if tc.text == "" {
			in = bufio.NewReaderSize(strings.NewReader(""), 512)
		}
		got, err := readProxyHeader(in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, %v; want an error with %q", tc.name, got, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if want := tc.want; want == "" && got.IsValid() || want != "" && got.String() != want {
			t.Errorf("%s: got %s, want %q", tc.name, got, want)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "rest" {
			t.Errorf("%s: %q follows", tc.name, rest)
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, tc := range proxyHeaders {
		f.Add([]byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		from, err := readProxyHeader(bufio.NewReaderSize(in, 512))
		if err != nil && from.IsValid() {
			t.Errorf("both %s and %v", from, err)
		}
		if took := len(data) - in.Len(); took > len(proxySignature)+4+maxProxyBody+512 {
			t.Errorf("%d bytes were taken", took)
		}
	})
}

// askAs sends a header and one request by TLS and returns the answer.
func askAs(t *testing.T, s *Server, conf *tls.Config, header string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, header); err != nil {
		t.Fatal(err)
	}
	conf = conf.Clone()
	conf.ServerName = "127.0.0.1"
	secured := tls.Client(c, conf)
	if _, err := io.WriteString(secured, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(secured), nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	server, client := secure(t)
	var refused atomic.Int64
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	behind := start(t, Config{}, Deps{
		TLS: server, Handler: who, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Refused: func() { refused.Add(1) },
	})
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n": "192.0.2.1:56324",
		binaryHeader(1, 0x21, inet6Body):               "[2001:db8::1]:56324",
		binaryHeader(0, 0, nil):                        "127.0.0.1:",
	} {
		got, err := askAs(t, behind, client, header)
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q, %v; want %s", header, got, err, want)
		}
	}
	if refused.Load() != 0 {
		t.Errorf("%d good headers were refused", refused.Load())
	}
	if got, err := askAs(t, behind, client, ""); err == nil {
		t.Errorf("a proxy without a header got %q", got)
	}
	if refused.Load() != 1 {
		t.Errorf("%d refusals are counted, want 1", refused.Load())
	}

	// From an address that is no proxy's, a header counts for nothing.
	open := start(t, Config{}, Deps{TLS: server, Handler: who, Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if got, err := askAs(t, open, client, ""); err != nil || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("without a header: %q, %v", got, err)
	}
	if got, err := askAs(t, open, client, "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n"); err == nil {
		t.Errorf("a stranger spoke for another address and got %q", got)
	}
}

// A proxy that connects and says nothing holds nobody up, and is cut.
func TestProxySaysNothing(t *testing.T) {
	t.Parallel()
	server, client := secure(t)
	s := start(t, Config{ReadHeaderTimeout: 200 * time.Millisecond}, Deps{
		TLS: server, Handler: text("hello"), Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	silent := connect(t, s, "")
	if got, err := askAs(t, s, client, "PROXY UNKNOWN\r\n"); err != nil || got != "hello" {
		t.Errorf("beside it: %q, %v", got, err)
	}
	ends(t, silent)
}
