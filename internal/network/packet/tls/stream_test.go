package tls_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/tls"
)

func newStream() parse.Stream { return new(tls.Stream) }

var captures = map[string]uint16{
	"tls1": 4431, "tls1_1": 4431, "tls1_2": 4431, "tls1_3": 4431, "resumed12": 4431, "resumed13": 4431,
	"retry": 4432, "unknown_ca": 4431, "protocol_version": 4433, "curl": 4431, "mosquitto": 8883,
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, port := range captures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsetest.Golden(t, filepath.Join("testdata", name+".pcap"), port, newStream)
		})
	}
}

// wire is a connection's side that writes down what was written to it.
type wire struct {
	net.Conn
	mu     *sync.Mutex
	side   int
	chunks *[]parsetest.Chunk
}

func (w wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	*w.chunks = append(*w.chunks, parsetest.Chunk{Side: w.side, Data: bytes.Clone(b)})
	w.mu.Unlock()
	return w.Conn.Write(b)
}

// shake records a handshake of the standard library.
func shake(t testing.TB, client, server *stdtls.Config) parsetest.Conversation {
	t.Helper()
	a, b := net.Pipe()
	var mu sync.Mutex
	var chunks []parsetest.Chunk
	c := stdtls.Client(wire{a, &mu, parse.Client, &chunks}, client)
	s := stdtls.Server(wire{b, &mu, parse.Server, &chunks}, server)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.HandshakeContext(ctx) == nil {
			_, _ = s.Write([]byte("hello")) // the client may have gone
		}
		b.Close()
	}()
	if c.HandshakeContext(ctx) == nil {
		_, _ = c.Read(make([]byte, 16)) // for the tickets behind the handshake
	}
	a.Close()
	<-done
	return parsetest.Talk(443, chunks...)
}

// issue makes a certificate of template, signed with its own key.
func issue(t testing.TB, template *x509.Certificate) stdtls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func template() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(0xbeef),
		Subject:      pkix.Name{Country: []string{"XX"}, Organization: []string{"Example, Ltd."}, CommonName: "tëst\x07.example"},
		NotBefore:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2061, 1, 2, 3, 4, 5, 0, time.UTC),
		DNSNames: []string{"A.example", "b.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1).To4(), net.ParseIP("2001:db8::1")},
	}
}

func one(t *testing.T, c parsetest.Conversation, cut func(int) int) network.TLSHello {
	t.Helper()
	out := parsetest.NewOut()
	if err := parsetest.Run(newStream(), out, c, cut); !errors.Is(err, parse.ErrDone) {
		t.Fatalf("it ended with %v", err)
	}
	if len(out.TLS) != 1 {
		t.Fatalf("%d rows", len(out.TLS))
	}
	return out.TLS[0]
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	cert := issue(t, template())
	c := shake(t, &stdtls.Config{InsecureSkipVerify: true, ServerName: "A.example", NextProtos: []string{"h2", "http/1.1"}, MaxVersion: stdtls.VersionTLS12},
		&stdtls.Config{Certificates: []stdtls.Certificate{cert}, NextProtos: []string{"http/1.1"}, CipherSuites: []uint16{stdtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}})
	got := one(t, c, func(int) int { return 7 })
	sum := sha256.Sum256(cert.Certificate[0])
	if len(got.JA3) != 32 || len(got.JA3S) != 32 || !strings.HasPrefix(got.JA4, "t12d") {
		t.Errorf("fingerprints %q, %q, %q", got.JA3, got.JA3S, got.JA4)
	}
	want := network.TLSHello{
		Time: c.Session.Time, Client: c.Session.Client, Server: c.Session.Server, SrcPort: 40000, DstPort: 443, Proto: network.TCP,
		SNI: "a.example", ALPN: []string{"h2", "http/1.1"}, Version: 0x0303, Offered: got.Offered, Chosen: 0x0303,
		Cipher: stdtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, Protocol: "http/1.1", JA3: got.JA3, JA3S: got.JA3S, JA4: got.JA4,
		Subject: `CN=tëst\07.example,O=Example\, Ltd.,C=XX`, Issuer: `CN=tëst\07.example,O=Example\, Ltd.,C=XX`,
		Names:     []string{"a.example", "b.example", "192.0.2.1", "2001:db8::1"},
		NotBefore: template().NotBefore, NotAfter: template().NotAfter, Serial: "beef", Fingerprint: hex.EncodeToString(sum[:]),
	}
	if diff := cmp.Diff(want, got, addrs); diff != "" {
		t.Error(diff)
	}
	if got.Offered != "1.2" && got.Offered != "1.2,1.1,1.0" {
		t.Errorf("offered %q", got.Offered)
	}
}

// TestResumed resumes a session in both ways.
func TestResumed(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		client := &stdtls.Config{InsecureSkipVerify: true, ServerName: "a.example", MaxVersion: version, ClientSessionCache: stdtls.NewLRUClientSessionCache(4)}
		server := &stdtls.Config{Certificates: []stdtls.Certificate{issue(t, template())}}
		for i := range 2 {
			got := one(t, shake(t, client, server), nil)
			if got.Resumed != (i == 1) || got.Chosen != version || (got.Fingerprint != "") != (i == 0 && version == stdtls.VersionTLS12) {
				t.Errorf("connection %d of %#x: %+v", i, version, got)
			}
		}
	}
}

// TestOdd gives handshakes that end otherwise than most.
func TestOdd(t *testing.T) {
	t.Parallel()
	ch := record(hello("\x03\x03", sni("a"), ext(43, vec(1, "\x03\x04"))))
	sh := "\x02\x00" + vec(2, "\x03\x03"+strings.Repeat("s", 32)+vec(1, "")+"\xc0\x2f\x00")
	certificate := func(der string) string { return "\x0b\x00" + vec(2, "\x00"+vec(2, "\x00"+vec(2, der))) }
	change, data := "\x14\x03\x03\x00\x01\x01", "\x17\x03\x03\x00\x03abc"
	alert := func(level, code byte) string { return string([]byte{21, 3, 3, 0, 2, level, code}) }
	type result struct {
		Rows, Chosen       int
		Alert, Fingerprint string
		Resumed            bool
	}
	for name, c := range map[string]struct {
		chunks []parsetest.Chunk
		want   result
		err    error
	}{
		"only a ClientHello":           {[]parsetest.Chunk{parsetest.C(ch)}, result{Rows: 1}, nil},
		"refused":                      {[]parsetest.Chunk{parsetest.C(ch), parsetest.S(alert(2, 40))}, result{Rows: 1, Alert: "handshake_failure"}, parse.ErrDone},
		"warned, then closed":          {[]parsetest.Chunk{parsetest.C(ch), parsetest.S(alert(1, 112) + alert(1, 0))}, result{Rows: 1, Alert: "unrecognized_name"}, parse.ErrDone},
		"an alert of its own":          {[]parsetest.Chunk{parsetest.C(ch), parsetest.S(alert(2, 200))}, result{Rows: 1, Alert: "200"}, parse.ErrDone},
		"only the server":              {[]parsetest.Chunk{parsetest.S(record(sh) + change)}, result{Rows: 1, Chosen: 0x303, Resumed: true}, parse.ErrDone},
		"a certificate of bytes":       {[]parsetest.Chunk{parsetest.C(ch), parsetest.S(record(sh + certificate("\x30\x80x") + "\x0e\x00\x00\x00")), parsetest.C(change), parsetest.S(change)}, result{Rows: 1, Chosen: 0x303, Fingerprint: "1"}, parse.ErrDone},
		"early data":                   {[]parsetest.Chunk{parsetest.C(ch + change + data), parsetest.S(record(sh) + data)}, result{Rows: 1, Chosen: 0x303, Resumed: true}, parse.ErrDone},
		"the server is the TCP client": {[]parsetest.Chunk{parsetest.S(ch), parsetest.C(record(sh) + change)}, result{Rows: 1, Chosen: 0x303, Resumed: true}, parse.ErrDone},
		"broken ClientHello":           {[]parsetest.Chunk{parsetest.C(record(hello("\x02\x00")))}, result{}, parse.ErrMalformed},
		"broken ServerHello":           {[]parsetest.Chunk{parsetest.C(ch), parsetest.S(record("\x02\x00\x00\x01x"))}, result{Rows: 1}, parse.ErrMalformed},
		"bytes between records":        {[]parsetest.Chunk{parsetest.C(ch + "xxxxx")}, result{Rows: 1}, parse.ErrMalformed},
		"endless hello":                {[]parsetest.Chunk{parsetest.C(record("\x01\x01\x00\x00"))}, result{}, parse.ErrMalformed},
		"from the middle":              {[]parsetest.Chunk{parsetest.C(data)}, result{}, parse.ErrNot},
		"another message first":        {[]parsetest.Chunk{parsetest.C(record("\x10\x00\x00\x01x"))}, result{}, parse.ErrNot},
		"not TLS":                      {[]parsetest.Chunk{parsetest.C("GET / HTTP/1.1\r\n")}, result{}, parse.ErrNot},
		"never an end":                 {[]parsetest.Chunk{parsetest.C(ch), parsetest.S(record(sh) + strings.Repeat(record("\x0c\x00\x03\xfc"+strings.Repeat("k", 1020)), 300))}, result{Rows: 1, Chosen: 0x303}, parse.ErrDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := parsetest.NewOut()
			if err := parsetest.Run(newStream(), out, parsetest.Talk(443, c.chunks...), nil); !errors.Is(err, c.err) {
				t.Fatalf("it ended with %v, want %v", err, c.err)
			}
			got := result{Rows: len(out.TLS)}
			for _, r := range out.TLS {
				got.Chosen, got.Alert, got.Resumed = int(r.Chosen), r.Alert, r.Resumed
				if r.Fingerprint != "" {
					got.Fingerprint = "1"
				}
				if r.SNI == "a" && r.SrcPort != 40000 && c.chunks[0].Side == parse.Client {
					t.Errorf("client port %d", r.SrcPort)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			parsetest.Cuts(t, newStream(), parsetest.Talk(443, c.chunks...), 1)
		})
	}
}

// TestAllocations: a stream that is used again takes no memory but for the
// row's lists, which the report keeps.
func TestAllocations(t *testing.T) {
	c := shake(t, &stdtls.Config{InsecureSkipVerify: true, ServerName: "a.example", MaxVersion: stdtls.VersionTLS12},
		&stdtls.Config{Certificates: []stdtls.Certificate{issue(t, &x509.Certificate{SerialNumber: big.NewInt(1)})}})
	s, out := new(tls.Stream), parsetest.NewOut()
	out.TLS = make([]network.TLSHello, 0, 10)
	run := func() {
		s.Reset()
		out.Session = c.Session
		for _, chunk := range c.Chunks {
			if _, err := s.Next(out, chunk.Side, chunk.Data); err != nil {
				break
			}
		}
		s.End(out)
		if len(out.TLS) != 1 || out.TLS[0].Fingerprint == "" {
			t.Fatalf("%+v", out.TLS)
		}
		out.TLS = out.TLS[:0]
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations for each connection", n)
	}
}

// TestStreamLinear gives a server's messages in many small records.
func TestStreamLinear(t *testing.T) {
	s, out := new(tls.Stream), parsetest.NewOut()
	ch := []byte(record(hello("\x03\x03", sni("a"))))
	many := bytes.Repeat([]byte(record("\x0c")+record("\x00")+record("\x00")+record("\x01")+record("k")), 32_000/5)
	parsetest.Linear(t, 8000, func(n int) {
		s.Reset()
		if _, err := s.Next(out, parse.Client, ch); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(out, parse.Server, []byte(record("\x00\x00\x00\x00"))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(out, parse.Server, many[:6*n]); err != nil {
			t.Fatal(err)
		}
	})
	parsetest.Linear(t, 200, func(n int) { // cipher suites
		var h tls.Hello
		var p tls.Printer
		msg := []byte("\x01\x00" + vec(2, "\x03\x03"+strings.Repeat("r", 32)+vec(1, "")+vec(2, strings.Repeat("\x13\x01", n))+vec(1, "\x00")))
		if err := h.Message(msg); err != nil {
			t.Fatal(err)
		}
		p.JA3(&h)
		p.JA4(&h, tls.OverTCP)
	})
}

func FuzzStream(f *testing.F) {
	var seeds []parsetest.Conversation
	for name, port := range captures {
		seeds = append(seeds, parsetest.Conversations(f, filepath.Join("testdata", name+".pcap"), network.TCP, port)...)
	}
	parsetest.FuzzStream(f, newStream, seeds...)
}
