package httpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ends waits until the other side closes the connection.
func ends(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server keeps the connection; so far %q", b)
	}
	return string(b)
}

func connect(t *testing.T, s *Server, send string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSlowHeader(t *testing.T) {
	t.Parallel()
	s := start(t, Config{ReadHeaderTimeout: 50 * time.Millisecond}, Deps{Handler: text("")})
	ends(t, connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\n"))
}

func TestIdleConnection(t *testing.T) {
	t.Parallel()
	s := start(t, Config{IdleTimeout: 50 * time.Millisecond}, Deps{Handler: text("hello")})
	if got := ends(t, connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")); !strings.HasSuffix(got, "hello") {
		t.Errorf("got %q", got)
	}
}

func TestLargeHeader(t *testing.T) {
	t.Parallel()
	s := start(t, Config{MaxHeaderBytes: 1000}, Deps{Handler: text("")})
	// net/http adds 4 KiB to the limit.
	c := connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 6000)+"\r\n\r\n")
	if got := ends(t, c); !strings.Contains(got, "431") {
		t.Errorf("got %q", got)
	}
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	s := start(t, Config{BodyTimeout: 50 * time.Millisecond}, Deps{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
	})})
	ends(t, connect(t, s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome"))
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the handler got %v", err)
	}
}

// The limit holds for a stream of HTTP/2 as well, and the connection lives on.
func TestSlowBodyOverHTTP2(t *testing.T) {
	t.Parallel()
	server, client := secure(t)
	failed := make(chan error, 1)
	s := start(t, Config{BodyTimeout: 100 * time.Millisecond}, Deps{TLS: server, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, err := io.Copy(io.Discard, r.Body)
			failed <- err
		}
	})})
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true}}
	body, feed := io.Pipe()
	defer feed.Close()
	go func() { _, _ = io.WriteString(feed, "some") }()
	c.Timeout = 10 * time.Second
	if res, err := c.Post("https://"+s.Addr(), "text/plain", body); err == nil {
		res.Body.Close()
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the handler got %v", err)
	}
	if code, _ := get(t, c, "https://"+s.Addr()); code != http.StatusOK {
		t.Errorf("the next request: %d", code)
	}
}

// Once the body is there, its limit does not end the request.
func TestBodyLimitIsLifted(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	for _, read := range []bool{true, false} {
		s := start(t, Config{BodyTimeout: limit}, Deps{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if read {
				_, _ = io.Copy(io.Discard, r.Body)
			} else {
				_ = r.Body.Close()
			}
			select {
			case <-r.Context().Done():
			case <-time.After(4 * limit):
			}
			fmt.Fprintf(w, "%v", r.Context().Err())
		})})
		for range 2 { // the second one on the same connection
			res, err := http.Post("http://"+s.Addr(), "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if string(b) != "<nil>" {
				t.Errorf("read %v: the request was ended: %s", read, b)
			}
		}
	}
}

// A client that stops reading is dropped; the handler's write fails.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	s := start(t, Config{StallTimeout: 100 * time.Millisecond}, Deps{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 1000 {
			if _, err := w.Write(chunk); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	})})
	connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case err := <-failed:
		if err == nil {
			t.Error("a gigabyte was written to nobody")
		}
	case <-time.After(20 * time.Second):
		t.Error("the write hangs")
	}
}

// A stream may last longer than every limit.
func TestStreamOutlivesLimits(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	cfg := Config{StallTimeout: limit, BodyTimeout: limit, IdleTimeout: limit, ReadHeaderTimeout: limit}
	s := start(t, cfg, Deps{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 4 {
			fmt.Fprint(w, i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(2 * limit):
			}
		}
	})})
	if _, body := get(t, http.DefaultClient, "http://"+s.Addr()); body != "0123" {
		t.Errorf("got %q", body)
	}
}

// A deadline that a handler sets itself wins over the limit for stalls.
func TestOwnWriteDeadline(t *testing.T) {
	t.Parallel()
	s := start(t, Config{}, Deps{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
			fmt.Fprint(w, err)
		}
		fmt.Fprint(w, "too late")
	})})
	if got := ends(t, connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")); got != "" {
		t.Errorf("got %q", got)
	}
}

func endless(entered chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "begun")
		_ = http.NewResponseController(w).Flush()
		entered <- struct{}{}
		<-r.Context().Done()
	})
}

func TestStopEndsStreamsAtOnce(t *testing.T) {
	t.Parallel()
	server, client := secure(t)
	for _, h2 := range []bool{true, false} {
		entered := make(chan struct{}, 1)
		s := start(t, Config{}, Deps{TLS: server, Handler: endless(entered)})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: h2}}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got := readEvent(t, res); got != "begun" {
			t.Errorf("got %q", got)
		}
		<-entered
		began := time.Now()
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("h2 %v: an open page holds the stop up for %s", h2, took)
		}
	}
}

// A request that would never end is told to, after half of the time.
func TestStopEndsOtherRequests(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	s := start(t, Config{}, Deps{Handler: endless(entered)})
	connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// A handler that does not listen to its context is cut when the time is over.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	s := start(t, Config{}, Deps{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})})
	c := connect(t, s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	ends(t, c)
}

// A server that drains answers, and then lets go of its connections.
func TestDrainingLetsConnectionsGo(t *testing.T) {
	t.Parallel()
	server, client := secure(t)
	var draining atomic.Bool
	s := start(t, Config{}, Deps{TLS: server, Draining: draining.Load, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RemoteAddr)
	})})
	for _, h2 := range []bool{true, false} {
		draining.Store(false)
		transport := &http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: h2}
		c := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		ask := func() string {
			_, body := get(t, c, "https://"+s.Addr())
			return body
		}
		first := ask()
		if again := ask(); again != first {
			t.Errorf("h2 %v: a connection is not kept: %s, %s", h2, first, again)
		}
		draining.Store(true)
		if last := ask(); last != first {
			t.Errorf("h2 %v: the last answer comes from %s, not %s", h2, last, first)
		}
		// What a client has not heard yet, it hears with the next answer.
		for began := time.Now(); ask() == first; {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("h2 %v: the connection goes on", h2)
			}
		}
		transport.CloseIdleConnections()
	}
}
