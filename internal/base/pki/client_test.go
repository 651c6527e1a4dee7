package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// serve answers TLS handshakes on loopback with a chain, and returns where.
func serve(t *testing.T, pair tls.Certificate) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, "ok")
			}()
		}
	}()
	return ln.Addr().String()
}

// dial makes a real handshake, as a client that was told the host.
func dial(t *testing.T, addr, host string, cfg *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cfg = cfg.Clone()
	cfg.ServerName = host
	c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if err == nil && string(got) != "ok" {
		return errors.New("the server did not answer")
	}
	return err
}

// pairAt is a server's certificate that was issued at another time, by an
// authority that was young enough then.
func pairAt(t *testing.T, when time.Time) (ca *CA, pair tls.Certificate) {
	t.Helper()
	ca, err := openCA(t.TempDir(), func() time.Time { return when })
	if err != nil {
		t.Fatal(err)
	}
	pair, err = ca.ServerCertificate([]string{"rind.example", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return ca, pair
}

func TestPinnedTLS(t *testing.T) {
	t.Parallel()
	ca, good := pairAt(t, time.Now())
	expiredCA, expired := pairAt(t, time.Now().Add(-2*serverLife))
	earlyCA, early := pairAt(t, time.Now().Add(48*time.Hour))
	evilCA, forged := pairAt(t, time.Now())
	forged.Certificate[1] = ca.cert.Raw // shows the right root, but is not signed by it
	bare := tls.Certificate{Certificate: good.Certificate[:1], PrivateKey: good.PrivateKey}

	tests := map[string]struct {
		pair tls.Certificate
		host string
		cfg  *tls.Config
		want string // "" for a handshake that succeeds
	}{
		"right pin":              {good, "rind.example", PinnedTLS(ca.Pin()), ""},
		"right pin in capitals":  {good, "rind.example", PinnedTLS(strings.ToUpper(ca.Pin())), ""},
		"right pin, address":     {good, "127.0.0.1", PinnedTLSFor(ca.Pin(), "127.0.0.1"), ""},
		"right pin, any address": {good, "", PinnedTLS(ca.Pin()), ""},
		"pin of the server":      {good, "rind.example", PinnedTLS(PinOf(good.Leaf)), ""},
		"server without root":    {bare, "rind.example", PinnedTLS(PinOf(good.Leaf)), ""},
		"wrong pin":              {good, "rind.example", PinnedTLS(evilCA.Pin()), "its pin is " + ca.Pin() + ", expected was " + evilCA.Pin() + "; run `rind server pin`"},
		"wrong host":             {good, "other.example", PinnedTLS(ca.Pin()), `not valid for "other.example", but for rind.example, 127.0.0.1`},
		"wrong host, leaf pin":   {good, "other.example", PinnedTLS(PinOf(good.Leaf)), `not valid for "other.example"`},
		"wrong address":          {good, "192.0.2.9", PinnedTLSFor(ca.Pin(), "192.0.2.9"), `not valid for "192.0.2.9"`},
		"expired":                {expired, "rind.example", PinnedTLS(expiredCA.Pin()), "is not valid any more: this machine's clock says"},
		"not valid yet":          {early, "rind.example", PinnedTLS(earlyCA.Pin()), "is not valid yet: this machine's clock says"},
		"not signed by the root": {forged, "rind.example", PinnedTLS(ca.Pin()), "was not signed by it"},
		"root not shown":         {bare, "rind.example", PinnedTLS(ca.Pin()), "the server is not the one that was expected"},
		"malformed pin":          {good, "rind.example", PinnedTLS("sha256:beef"), "is no pin"},
		"no pin":                 {good, "rind.example", PinnedTLS(""), "is no pin"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := dial(t, serve(t, test.pair), test.host, test.cfg)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			case test.want != "" && errs.KindOf(err) == errs.Internal:
				t.Errorf("the kind is lost: %v", err)
			}
		})
	}
}

// A client that was told the host names it to the server (SNI), so that a proxy
// in between can choose.
func TestHostIsNamed(t *testing.T) {
	t.Parallel()
	ca, good := pairAt(t, time.Now())
	for _, pin := range []string{ca.Pin(), ""} {
		cfg, err := ClientTLSFor("rind.example", pin, ca.path(caCertFile))
		if pin != "" {
			cfg, err = ClientTLSFor("rind.example", pin, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		named := make(chan string, 1)
		server := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			named <- hello.ServerName
			return &good, nil
		}}
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		go func() { _ = tls.Server(there, server).Handshake() }()
		if err := tls.Client(here, cfg).HandshakeContext(t.Context()); err != nil {
			t.Error(err)
		}
		if got := <-named; got != "rind.example" {
			t.Errorf("pin %q: named %q", pin, got)
		}
	}
}

func TestClientTLS(t *testing.T) {
	t.Parallel()
	ca, good := pairAt(t, time.Now())
	evilCA, _ := pairAt(t, time.Now())
	expiredCA, expired := pairAt(t, time.Now().Add(-2*serverLife))
	earlyCA, early := pairAt(t, time.Now().Add(48*time.Hour))
	file := func(ca *CA) string { return ca.path(caCertFile) }

	tests := map[string]struct {
		pair      tls.Certificate
		host      string
		pin, file string
		want      string
	}{
		"pin":                 {good, "rind.example", ca.Pin(), "", ""},
		"file":                {good, "rind.example", "", file(ca), ""},
		"file, address":       {good, "127.0.0.1", "", file(ca), ""},
		"both":                {good, "rind.example", ca.Pin(), file(ca), ""},
		"file right, pin not": {good, "rind.example", evilCA.Pin(), file(ca), "the server is not the one that was expected"},
		"pin right, file not": {good, "rind.example", ca.Pin(), file(evilCA), "not trusted here"},
		"neither":             {good, "rind.example", "", "", "not trusted here; give the server's pin"},
		"wrong host":          {good, "other.example", "", file(ca), `not valid for "other.example", but for rind.example`},
		"expired":             {expired, "rind.example", "", file(expiredCA), "is not valid any more: this machine's clock says"},
		"not valid yet":       {early, "rind.example", "", file(earlyCA), "is not valid yet: this machine's clock says"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := ClientTLSFor(test.host, test.pin, test.file)
			if err != nil {
				t.Fatal(err)
			}
			err = Explain(dial(t, serve(t, test.pair), test.host, cfg))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestClientTLSInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.pem")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, in := range []struct{ pin, file, want string }{
		{"beef", "", "is no pin"},
		{"", filepath.Join(dir, "none.pem"), "does not exist"},
		{"", garbage, "holds no certificate"},
		{"", dir, "is a directory"},
		{"", "/dev/zero", "more than 4194304 bytes"},
	} {
		if _, err := ClientTLS(in.pin, in.file); err == nil || !strings.Contains(err.Error(), in.want) {
			t.Errorf("%q, %q: got %v, want %q", in.pin, in.file, err, in.want)
		}
	}
	if _, err := PoolTLS([]byte("garbage")); !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v", err)
	}
}

// A server of another kind on the port is told apart by how it greets.
func TestExplainOtherProtocol(t *testing.T) {
	t.Parallel()
	for greeting, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "does not speak TLS, but plain HTTP",
		"INFO {\"server_id\":\"x\"}\r\n":   "does not speak TLS, but NATS",
		"SSH-2.0-OpenSSH\r\n":              "does not speak TLS, but SSH",
		"220 mail ready\r\n":               "does not speak TLS; check the port",
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			if c, err := ln.Accept(); err == nil {
				_, _ = io.WriteString(c, greeting)
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}
		}()
		err = Explain(dial(t, ln.Addr().String(), "a", PinnedTLS("sha256:"+strings.Repeat("0", 64))))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestExplainLeavesTheRest(t *testing.T) {
	t.Parallel()
	if err := Explain(io.EOF); Explain(nil) != nil || !errors.Is(err, io.EOF) || err.Error() != io.EOF.Error() {
		t.Error("changed what it does not know")
	}
}

func TestParsePin(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("ab", 32)
	for _, pin := range []string{"sha256:" + digits, " SHA256:" + strings.ToUpper(digits) + "\n"} {
		if got, err := ParsePin(pin); err != nil || got != "sha256:"+digits {
			t.Errorf("%q: got %q, %v", pin, got, err)
		}
	}
	for _, pin := range []string{"", digits, "sha256:", "sha256:" + digits[1:], "sha256:" + digits + "00", "sha1:" + digits, "sha256:" + strings.Repeat("z", 64), strings.Repeat("x", 10000)} {
		if _, err := ParsePin(pin); !errs.Is(err, errs.Invalid) || len(err.Error()) > 400 {
			t.Errorf("%q: got %v", shorten(pin), err)
		}
	}
}
