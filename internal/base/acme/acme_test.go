package acme

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

const domain = "rind.example.net"

var testKey = bytes.Repeat([]byte{7}, 32)

// zone answers every question for an address with one, and nothing else.
func zone(t *testing.T, addr string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			a.Answer = append(a.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: netip.MustParseAddr(addr).AsSlice(),
			})
		}
		_ = w.WriteMsg(a)
	})
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: ln, Handler: handler}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return pc.LocalAddr().String()
}

// authority runs pebble, the small ACME authority of Let's Encrypt, which
// looks for challenges at these ports of the address. It returns the URL of
// its directory, the file of the CA of its HTTPS, and what its certificates
// are trusted by.
func authority(t *testing.T, addr string, httpPort, tlsPort int) (directory, caFile string, roots *x509.CertPool) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default"}})
	validation := va.New(quiet, httpPort, tlsPort, true, zone(t, addr), store)
	front := wfe.New(quiet, store, validation, issuer, []string{"pebble.letsencrypt.org"}, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(issuer.GetRootCert(0).Cert)
	return server.URL + wfe.DirectoryPath, caFile, roots
}

// serve answers by TLS on the listener with what the manager has.
func serve(ln net.Listener, m *Manager) {
	conf := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := m.Certificate(h)
		if err == nil && pair == nil {
			err = fmt.Errorf("no certificate for %q", h.ServerName)
		}
		return pair, err
	}, NextProtos: []string{"http/1.1", Protocol}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				_ = tls.Server(c, conf).Handshake()
				_ = c.Close()
			}()
		}
	}()
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

func manager(t *testing.T, db *database.DB, cfg Config, ln net.Listener) *Manager {
	t.Helper()
	out := io.Discard
	if testing.Verbose() {
		out = os.Stderr
	}
	m, err := New(cfg, Deps{DB: db, Key: testKey, Listen: func() string { return ln.Addr().String() },
		Log: slog.New(slog.NewTextHandler(out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop(context.Background()) })
	return m
}

// obtained waits for the certificate and looks at it as a client does.
func obtained(t *testing.T, m *Manager, ln net.Listener, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	began := time.Now()
	for m.Obtained() != nil {
		if time.Since(began) > 90*time.Second {
			t.Fatal(m.Obtained())
		}
		time.Sleep(50 * time.Millisecond)
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", ln.Addr().String(), &tls.Config{ServerName: domain, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func TestChallengeByTLS(t *testing.T) {
	store := databasetest.Open(t, database.SQLite, Migrations())
	ln := listen(t, "127.0.0.1:0")
	directory, caFile, roots := authority(t, "127.0.0.1", 1, portOf(ln))
	cfg := Config{Domains: []string{domain}, Email: "ops@example.net", Directory: directory, CAFile: caFile}
	m := manager(t, store, cfg, ln)
	if pair, err := m.Certificate(&tls.ClientHelloInfo{ServerName: domain}); pair != nil || err != nil {
		t.Errorf("before the start: %v, %v", pair, err)
	}
	serve(ln, m)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := obtained(t, m, ln, roots)
	if pair, err := m.Certificate(&tls.ClientHelloInfo{ServerName: "other.example.net"}); pair != nil || err != nil {
		t.Errorf("for another name: %v, %v", pair, err)
	}
	encrypted(t, store)

	// A server that starts later takes the same one from the database.
	other := listen(t, "127.0.0.1:0")
	second := manager(t, store, cfg, other)
	serve(other, second)
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := obtained(t, second, other, roots); !got.Equal(first) {
		t.Error("a second server asked for a certificate of its own")
	}
}

// encrypted looks for keys in the table.
func encrypted(t *testing.T, store *database.DB) {
	t.Helper()
	rows, err := store.Query(t.Context(), `SELECT name, value FROM acme_data`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	keys := 0
	for rows.Next() {
		var name string
		var value []byte
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".key") {
			keys++
		}
		if bytes.Contains(value, []byte("PRIVATE")) || bytes.Contains(value, []byte("BEGIN")) || bytes.Contains(value, []byte("example")) {
			t.Errorf("%s is readable in the database", name)
		}
	}
	if keys < 2 || rows.Err() != nil {
		t.Errorf("%d keys are kept, want those of account and certificate; %v", keys, rows.Err())
	}
}

// answererURL names the database for which the test's own program, run once
// more, answers challenges as another server does.
const answererURL = "RIND_TEST_ACME_ANSWERER"

// TestAnswerer is that other server; it ends with its standard input.
func TestAnswerer(t *testing.T) {
	where := os.Getenv(answererURL)
	if where == "" {
		t.Skip("this is the other server of TestAnotherServerAnswers")
	}
	plain, secure := listen(t, "127.0.0.2:0"), listen(t, "127.0.0.2:0")
	fmt.Printf("\nports %d %d\n", portOf(plain), portOf(secure))
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return
	}
	m := manager(t, databasetest.Reopen(t, database.PostgreSQL, where),
		Config{Domains: []string{domain}, Email: "ops@example.net", Directory: in.Text(), HTTPListen: plain.Addr().String()}, secure)
	if _, err := m.prepare(); err != nil {
		t.Fatal(err)
	}
	serve(secure, m)
	go func() { _ = http.Serve(plain, m.HTTPHandler()) }() //nolint:gosec // a test's
	fmt.Printf("\nready\n")
	in.Scan()
}

// TestAnotherServerAnswers: the authority never reaches the server that asks,
// only another one, in a process of its own.
func TestAnotherServerAnswers(t *testing.T) {
	for _, way := range []string{"tls-alpn-01", "http-01"} {
		t.Run(way, func(t *testing.T) {
			where := databasetest.URL(t, database.PostgreSQL)
			store := databasetest.Reopen(t, database.PostgreSQL, where)
			if err := database.Migrate(t.Context(), store, Migrations()); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnswerer$")
			cmd.Env = append(os.Environ(), answererURL+"="+where)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close(); _ = cmd.Wait() }()
			lines := bufio.NewScanner(out)
			var plain, secure int
			until(t, lines, func(line string) bool { n, _ := fmt.Sscanf(line, "ports %d %d", &plain, &secure); return n == 2 })
			cfg := Config{Domains: []string{domain}, Email: "ops@example.net"}
			ln := listen(t, "127.0.0.1:0")
			if way == "http-01" {
				secure = 1 // nobody listens there
				cfg.HTTPListen = listen(t, "127.0.0.1:0").Addr().String()
			} else {
				plain = 1
			}
			var roots *x509.CertPool
			cfg.Directory, cfg.CAFile, roots = authority(t, "127.0.0.2", plain, secure)
			if _, err := fmt.Fprintln(in, cfg.Directory); err != nil {
				t.Fatal(err)
			}
			until(t, lines, func(line string) bool { return line == "ready" })
			m := manager(t, store, cfg, ln)
			serve(ln, m)
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			obtained(t, m, ln, roots)
		})
	}
}

// until reads lines until one is right.
func until(t *testing.T, lines *bufio.Scanner, right func(string) bool) {
	t.Helper()
	for lines.Scan() {
		if right(lines.Text()) {
			return
		}
	}
	t.Fatal("the other server ended")
}

func TestHTTPHandler(t *testing.T) {
	t.Parallel()
	ln := listen(t, "127.0.0.1:0")
	m := manager(t, databasetest.Open(t, database.SQLite, Migrations()), Config{Domains: []string{domain}}, ln)
	if _, err := m.prepare(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		method, host, path string
		want               int
		location           string
	}{
		{"GET", domain, "/flows?x=1", 302, "https://" + domain + "/flows?x=1"},
		{"GET", domain + ":80", "/", 302, "https://" + domain + "/"},
		{"POST", domain, "/", 404, ""},
		{"GET", "evil.example", "/", 404, ""},
		{"GET", "evil.example", "/.well-known/acme-challenge/x", 404, ""},
	} {
		r := httptest.NewRequest(tc.method, "http://"+tc.host+tc.path, nil)
		w := httptest.NewRecorder()
		m.HTTPHandler().ServeHTTP(w, r)
		if w.Code != tc.want || w.Header().Get("Location") != tc.location {
			t.Errorf("%s %s%s: %d %s", tc.method, tc.host, tc.path, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"":                                 {Domains: []string{domain}, Directory: "https://ca.example/dir", HTTPListen: "0.0.0.0:80"},
		"name the domains":                 {Email: "a@example.net"},
		"\"*.example.net\": write a whole": {Domains: []string{"*.example.net"}},
		"\"192.0.2.1\": write a whole":     {Domains: []string{"192.0.2.1"}},
		"authority's directory":            {Domains: []string{domain}, Directory: "http://ca.example/dir"},
		"ADDRESS:PORT":                     {Domains: []string{domain}, HTTPListen: "80"},
	} {
		err := cfg.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
