package client

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// server answers with a status and counts who asks.
func server(t *testing.T, status int, body string) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

// nobody is the address of a server that is not there.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// hangsUp takes a request and ends the connection without an answer.
func hangsUp(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	}))
	t.Cleanup(s.Close)
	return s.URL, &asked
}

// mute accepts connections and closes them before anything is read.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return "https://" + l.Addr().String()
}

func open(t *testing.T, urls ...string) *Client {
	t.Helper()
	target := Target{URL: urls[0]}
	for _, u := range urls[1:] {
		target.Others = append(target.Others, Target{URL: u})
	}
	c, err := Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheNextServerIsAsked(t *testing.T) {
	t.Parallel()
	const unavailable = `{"error":{"kind":"unavailable","message":"not now"}}`
	const conflict = `{"error":{"kind":"conflict","message":"no"}}`
	for name, test := range map[string]struct {
		method string
		first  func(t *testing.T) string
		next   bool // is asked
	}{
		"nobody there":                        {http.MethodGet, nobody, true},
		"nobody there, a change":              {http.MethodPost, nobody, true},
		"gone before TLS, a change":           {http.MethodPost, mute, true},
		"hangs up":                            {http.MethodGet, func(t *testing.T) string { u, _ := hangsUp(t); return u }, true},
		"hangs up, a change: who knows":       {http.MethodPost, func(t *testing.T) string { u, _ := hangsUp(t); return u }, false},
		"cannot now":                          {http.MethodGet, func(t *testing.T) string { s, _ := server(t, 503, unavailable); return s.URL }, true},
		"cannot now, a change: who knows":     {http.MethodPost, func(t *testing.T) string { s, _ := server(t, 503, unavailable); return s.URL }, false},
		"refuses what the next one would too": {http.MethodGet, func(t *testing.T) string { s, _ := server(t, 409, conflict); return s.URL }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second, asked := server(t, 200, `{"ok":true}`)
			c := open(t, test.first(t), second.URL)
			var out struct{ OK bool }
			for range 2 {
				err := c.Send(t.Context(), test.method, "/x", nil, &out)
				if (err == nil) != test.next || out.OK != test.next {
					t.Fatalf("%v, %+v", err, out)
				}
			}
			if n := asked.Load(); (n == 2) != test.next {
				t.Errorf("the second was asked %d times", n)
			}
			if test.next && c.Where() != second.URL {
				t.Errorf("%s is said to have answered", c.Where())
			}
		})
	}
}

func TestNoServerAnswers(t *testing.T) {
	t.Parallel()
	c := open(t, nobody(t), nobody(t))
	err := c.Get(t.Context(), "/x", nil, nil)
	if !errors.Is(err, ErrNoServer) {
		t.Errorf("got %v", err)
	}
}

func TestAStreamComesFromTheNextServer(t *testing.T) {
	t.Parallel()
	s, _ := server(t, 200, "event: done\ndata: 1\n\n")
	c := open(t, nobody(t), s.URL)
	var got string
	err := c.Events(t.Context(), "/x", func(e Event) (bool, error) { got = e.Name; return false, nil })
	if err != nil || got != "done" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestParseServers(t *testing.T) {
	t.Parallel()
	first, others, err := ParseServers([]string{"a:1", "https://b:2"})
	if err != nil || first != "https://a:1" || strings.Join(others, " ") != "https://b:2" {
		t.Errorf("%q, %v, %v", first, others, err)
	}
	for _, wrong := range [][]string{nil, {"a", "http://b"}, make([]string, MaxServers+1)} {
		if _, _, err := ParseServers(wrong); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
}
