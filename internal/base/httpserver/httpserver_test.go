package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/pki"
)

// syncBuffer is a log that tests may read while the server writes it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a server on loopback until the test ends.
func start(t *testing.T, cfg Config, deps Deps) *Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s := New(cfg, deps)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Stop(ctx) // tests that care stop it themselves
	})
	return s
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, s) })
}

func get(t *testing.T, client *http.Client, url string) (code int, body string) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// secure returns a server's and a client's configuration that fit.
func secure(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	ca, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ca.ServerTLS([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	client, err = pki.PoolTLS(ca.CertPEM())
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

func TestPlain(t *testing.T) {
	t.Parallel()
	s := New(Config{Listen: "127.0.0.1:0"}, Deps{Handler: text("hello")})
	if s.Addr() != "" {
		t.Errorf("an address before the start: %q", s.Addr())
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("a second start passes")
	}
	if code, body := get(t, http.DefaultClient, "http://"+s.Addr()); code != 200 || body != "hello" {
		t.Errorf("got %d %q", code, body)
	}
	for range 2 {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("still listens after the stop")
	}
	select {
	case err := <-s.Died():
		t.Errorf("an ordered stop is a death: %v", err)
	default:
	}
}

func TestStopWithoutStart(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{}, Deps{Listener: ln, Handler: text("")})
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, client := secure(t)
	s := start(t, Config{}, Deps{TLS: server, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })})
	for _, h2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: h2}
		want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[h2]
		if _, body := get(t, &http.Client{Transport: transport}, "https://"+s.Addr()); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
		transport.CloseIdleConnections()
	}
	old := client.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if c, err := tls.Dial("tcp", s.Addr(), old); err == nil {
		c.Close()
		t.Error("TLS 1.1 is accepted")
	}
	strict := client.Clone()
	strict.MinVersion = tls.VersionTLS13
	if c, err := tls.Dial("tcp", s.Addr(), strict); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if code, _ := get(t, http.DefaultClient, "http://"+s.Addr()); code != http.StatusBadRequest {
		t.Errorf("plain HTTP on the TLS port: %d", code)
	}
	if server.MinVersion != tls.VersionTLS12 || server.NextProtos != nil {
		t.Error("the caller's configuration was changed")
	}
}

func TestUntrustedServer(t *testing.T) {
	t.Parallel()
	server, _ := secure(t)
	log := &syncBuffer{}
	s := start(t, Config{}, Deps{TLS: server, Handler: text(""), Log: slog.New(slog.NewTextHandler(log, nil))})
	_, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: x509.NewCertPool()})
	if err == nil {
		t.Fatal("trusted")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "handshake") {
		t.Errorf("a stranger's handshake reaches the log at info:\n%s", log)
	}
}

func TestConnContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	hook := func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, key{}, fmt.Sprintf("%T", c))
	}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Context().Value(key{})) })

	tcp := start(t, Config{}, Deps{Handler: show, ConnContext: hook})
	if _, body := get(t, http.DefaultClient, "http://"+tcp.Addr()); body != "*net.TCPConn" {
		t.Errorf("got %q", body)
	}

	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	unix := start(t, Config{}, Deps{Handler: show, ConnContext: hook, Listener: ln})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	if _, body := get(t, client, "http://local/"); body != "*net.UnixConn" || unix.Addr() != path {
		t.Errorf("got %q at %q", body, unix.Addr())
	}
}

func TestDied(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{}, Deps{Listener: ln, Handler: text("")})
	ln.Close()
	select {
	case err := <-s.Died():
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody noticed")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop after death: %v", err)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	log := &syncBuffer{}
	mux := http.NewServeMux()
	mux.HandleFunc("/early", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half an ans")
		w.(http.Flusher).Flush()
		panic("secret detail")
	})
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := start(t, Config{}, Deps{Handler: mux, Log: slog.New(slog.NewTextHandler(log, nil))})

	if code, body := get(t, http.DefaultClient, "http://"+s.Addr()+"/early"); code != 500 || strings.Contains(body, "secret") {
		t.Errorf("got %d %q", code, body)
	}
	if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "httpserver_test.go") || !strings.Contains(log.String(), "path=/early") {
		t.Errorf("the log does not say what and where:\n%s", log)
	}
	res, err := http.Get("http://" + s.Addr() + "/late")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("half an answer passes for a whole one: %q", b)
	}
	if _, err := http.Get("http://" + s.Addr() + "/abort"); err == nil {
		t.Error("an aborted request got an answer")
	}
	if strings.Contains(log.String(), "path=/abort") {
		t.Error("an abort is logged as a panic")
	}
}

// readEvent reads the first event of a stream.
func readEvent(t *testing.T, res *http.Response) string {
	t.Helper()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
