package uplink

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// lineSender delivers one report of so many bytes to the handler, over real
// connections of HTTP/1.1.
func lineSender(t *testing.T, size int, h http.HandlerFunc) (*Sender, *Spool) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	spool := open(t, SpoolConfig{Dir: t.TempDir()})
	begin(t, spool, "one", time.Now())
	appendReport(t, spool, 1, strings.Repeat("x", size))
	sender, err := NewSender(SenderConfig{URLs: []string{server.URL}, MinBackoff: time.Millisecond}, SenderDeps{
		Spool: spool, Token: func() (string, error) { return "tok", nil },
		TLS: func(string) (*tls.Config, error) {
			return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}, nil // #nosec G402 -- the server is this test's
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return sender, spool
}

// TestLargeReportSeesTheRefusal has a node refuse large reports without reading
// them. The sender waits for its word, so that no answer is lost in a
// connection that is cut, and sends no byte in vain.
func TestLargeReportSeesTheRefusal(t *testing.T) {
	t.Parallel()
	for range 10 {
		sender, spool := lineSender(t, 12<<20, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Expect") != "100-continue" || r.ProtoMajor != 1 {
				t.Errorf("%s, Expect: %q", r.Proto, r.Header.Get("Expect"))
			}
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			fmt.Fprint(w, `{"error":{"kind":"too_large","message":"at most 8388608"}}`)
		})
		if err := sender.Drain(t.Context(), 1, nil); err != nil {
			t.Fatal(err)
		}
		if st := sender.Status(); st.Quarantined != 1 || !strings.Contains(st.LastRefusal, "at most 8388608") {
			t.Errorf("the status is %+v", st)
		}
		if st := spool.Stats(); st.Reports != 0 || st.Quarantined != 1 {
			t.Errorf("the spool is %+v", st)
		}
	}
}

// TestExpect looks at what a node gets of small and of large reports, and of
// large ones through a proxy that knows no Expect.
func TestExpect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size     int
		knows    bool // the node, or what stands before it, knows Expect
		want     string
		requests int64
	}{
		"small":            {expectFrom - 1, true, "", 1},
		"large":            {expectFrom, true, "100-continue", 1},
		"large and no 100": {expectFrom, false, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			sender, spool := lineSender(t, test.size, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if !test.knows && r.Header.Get("Expect") != "" {
					w.WriteHeader(http.StatusExpectationFailed)
					return
				}
				if n, err := io.Copy(io.Discard, r.Body); n != int64(test.size) || err != nil {
					t.Errorf("%d bytes came, %v", n, err)
				}
				if got := r.Header.Get("Expect"); got != test.want {
					t.Errorf("Expect is %q, want %q", got, test.want)
				}
				fmt.Fprint(w, `{"status":"committed"}`)
			})
			if err := sender.Drain(t.Context(), 3, nil); err != nil || spool.Stats().Reports != 0 {
				t.Errorf("%v, %d reports stay", err, spool.Stats().Reports)
			}
			if n := requests.Load(); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}
