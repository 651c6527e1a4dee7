package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// unchanged fails when what the test does leaves the server with other people,
// taps, peels, jobs or streams than before, or not ready.
func (w *walk) unchanged(t *testing.T, do func()) {
	t.Helper()
	before, peels := w.made(t), len(w.enrolled(t))
	do()
	after := w.made(t)
	for what, n := range after {
		if before[what] != n {
			t.Errorf("%s: %d, before it was %d", what, n, before[what])
		}
	}
	if n := len(w.enrolled(t)); n != peels {
		t.Errorf("%d peels, before there were %d", n, peels)
	}
	w.checkStreams(t)
	w.ready(t)
}

// lookedFor waits for a line of the log with all of the words.
func (r *running) lookedFor(t *testing.T, words ...string) {
	t.Helper()
	eventually(t, 5*time.Second, "a line of the log with "+strings.Join(words, ", "), func() bool {
	line:
		for line := range strings.Lines(r.log.String()) {
			for _, w := range words {
				if !strings.Contains(line, w) {
					continue line
				}
			}
			return true
		}
		return false
	})
}

// A client of HTTP on the bus port, with and without TLS, is turned away, and
// the operator reads what it was.
func TestHTTPOnTheBusPort(t *testing.T) {
	t.Parallel()
	w := startWalk(t)
	w.unchanged(t, func() {
		for _, scheme := range []string{"http", "https"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://"+w.BusAddr()+"/api/v1/login", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			res, err := w.client.Do(req)
			if err == nil {
				res.Body.Close()
				t.Errorf("%s: the bus answered %s", scheme, res.Status)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s: it took %s", scheme, took)
			}
		}
		w.lookedFor(t, "WARN", "reason=tls", "use the HTTPS address of the server instead")
	})
}

// TLS in the bus's own way, and then no NATS in it, or nobody.
func TestStrangersInsideTheBusTLS(t *testing.T) {
	t.Parallel()
	w := startWalk(t)
	w.unchanged(t, func() {
		http, _ := w.greet(t, w.ca)
		if complaints, err := http.ask("GET / HTTP/1.1", "Host: x", ""); err == nil {
			t.Errorf("HTTP is taken: %q", complaints)
		}
		nobody := w.dial(t, w.ca, nil)
		if complaints, err := nobody.ask(); !refusedAtTheDoor(complaints, err) {
			t.Errorf("nobody is let in: %q %v", complaints, err)
		}
		revoked := w.dial(t, w.ca, w.revoked)
		if complaints, err := revoked.ask(); !refusedAtTheDoor(complaints, err) {
			t.Errorf("a revoked peel is let in: %q %v", complaints, err)
		}
		w.lookedFor(t, "WARN", "reason=auth", "rind enroll list")
	})
}

// A client of NATS on the HTTPS port learns where the bus is.
func TestNATSOnTheHTTPSPort(t *testing.T) {
	t.Parallel()
	w := startWalk(t)
	conf, err := pki.PoolTLS(w.ca)
	if err != nil {
		t.Fatal(err)
	}
	w.unchanged(t, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cfg := bus.ConnConfig{
			URLs: []string{"tls://" + w.Addr()}, TLS: conf, Once: true, ConnectTimeout: 2 * time.Second,
			JWT: w.revoked.UserJWT, Sign: w.revoked.Sign,
		}
		nc, err := bus.Connect(ctx, cfg)
		if err == nil {
			nc.Close()
			t.Fatal("the HTTPS port speaks NATS")
		}
		if errs.KindOf(err) != errs.Unavailable || !strings.Contains(err.Error(), w.Addr()) || !strings.Contains(err.Error(), "nats.listen") {
			t.Errorf("%v: %v", errs.KindOf(err), err)
		}
	})
}

// What speaks neither is told so in clear, and kept for no time.
func TestGarbageOnTheHTTPSPort(t *testing.T) {
	t.Parallel()
	w := startWalk(t)
	w.unchanged(t, func() {
		for name, first := range map[string]string{
			"plain HTTP": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"NATS":       "CONNECT {\"verbose\":false}\r\nPING\r\n",
			"garbage":    strings.Repeat("\x00\xff", 1000),
		} {
			conn, err := net.DialTimeout("tcp", w.Addr(), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
			if _, err := io.WriteString(conn, first); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(io.LimitReader(bufio.NewReader(conn), 64<<10))
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Errorf("%s: still connected after 15 s", name)
			}
			if plain := strings.Contains(string(text), "400"); plain != (name == "plain HTTP") {
				t.Errorf("%s: told %q", name, text)
			}
			_ = conn.Close()
		}
		w.lookedFor(t, "WARN", "reason=plain_http", "from=127.0.0.1:", "write https:// before its address")
		w.lookedFor(t, "WARN", "reason=no_tls", "nats.listen")
	})
}

// A peel's permission opens nothing on HTTPS, and an API token nothing on the
// bus.
func TestCredentialsOfTheOtherDoor(t *testing.T) {
	t.Parallel()
	w := startWalk(t)
	token := w.token(t, access.Admin)
	w.unchanged(t, func() {
		conf, err := pki.PoolTLS(w.ca)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := bus.Connect(t.Context(), bus.ConnConfig{
			URLs: []string{"tls://" + w.BusAddr()}, TLS: conf, Once: true,
			JWT: func() (string, error) { return token, nil }, Sign: w.revoked.Sign,
		})
		if err == nil {
			nc.Close()
			t.Fatal("an API token opens the bus")
		}
		if !errs.Is(err, errs.Unauthorized) {
			t.Errorf("got %v", err)
		}
	})
}
