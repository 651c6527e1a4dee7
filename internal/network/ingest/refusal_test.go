package ingest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/network/report"
)

// TestTooLargeIsAnswered sends reports that are too large over HTTP/1.1, as a
// client that writes all of them before it reads: it is not cut off, and reads
// the answer.
func TestTooLargeIsAnswered(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		server := httptest.NewTLSServer(r.svc.Handler())
		defer server.Close()
		random := make([]byte, 3*report.DefaultLimits().Compressed)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(random) // never fails
		large := wire(t, random)
		before := r.counts(t)
		for name, body := range map[string]func() io.Reader{
			"with its length":    func() io.Reader { return bytes.NewReader(large) },
			"without its length": func() io.Reader { return io.MultiReader(bytes.NewReader(large)) },
		} {
			q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body())
			if err != nil {
				t.Fatal(err)
			}
			q.Header = request(r.token, nil).Header
			resp, text, err := writeThenRead(server.Listener.Addr().String(), q)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var a struct {
				Error struct{ Kind, Message string }
			}
			if resp.ProtoMajor != 1 || resp.StatusCode != http.StatusRequestEntityTooLarge || json.Unmarshal(text, &a) != nil || a.Error.Kind != "too_large" {
				t.Errorf("%s: %s %s %q", name, resp.Proto, resp.Status, text)
			}
		}
		if diff := cmp.Diff(before, r.counts(t)); diff != "" {
			t.Errorf("rows (-before +after):\n%s", diff)
		}
	})
}

// writeThenRead sends the whole request, slower than a server hangs up that
// does not listen, and then reads the answer.
func writeThenRead(addr string, q *http.Request) (*http.Response, []byte, error) {
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) // #nosec G402 -- the server is this test's
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, nil, err
	}
	if err := q.Write(&slowly{conn, time.Second}); err != nil {
		return nil, nil, fmt.Errorf("writing: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), q)
	if err != nil {
		return nil, nil, fmt.Errorf("reading: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

// slowly waits once, when the first bytes are on their way.
type slowly struct {
	to    io.Writer
	pause time.Duration
}

func (s *slowly) Write(b []byte) (int, error) {
	n, err := s.to.Write(b)
	time.Sleep(s.pause)
	s.pause = 0
	return n, err
}

// TestClockOff sends good reports with clocks that are more or less wrong.
func TestClockOff(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		before := r.counts(t)
		body := encode(t, r.report("a", 1))
		send := func(header string) (int, string) {
			q := request(r.token, bytes.NewReader(body))
			q.Header.Set(report.TimeHeader, header)
			return post(t, r.svc, q)
		}
		at := func(off time.Duration) string { return r.now.Add(off).Format(time.RFC3339Nano) }
		for header, test := range map[string]struct {
			status int
			says   string
		}{
			at(time.Hour):                      {409, "this tap's clock is 1h0m0s ahead of the node's"},
			at(-time.Hour):                     {409, "this tap's clock is 1h0m0s behind the node's"},
			at(5*time.Minute + time.Second):    {409, "5m1s ahead of"},
			"yesterday":                        {400, "the header Rind-Time is no time"},
			strings.Repeat("9", 40) + "-01-01": {400, "the header Rind-Time is no time"},
		} {
			status, text := send(header)
			if status != test.status || !strings.Contains(text, test.says) || status == 409 && !strings.Contains(text, "timedatectl") {
				t.Errorf("%s: %d %s", header, status, text)
			}
		}
		if diff := cmp.Diff(before, r.counts(t)); diff != "" {
			t.Errorf("rows (-before +after):\n%s", diff)
		}
		if n := testutil.ToFloat64(r.svc.metrics.reports.WithLabelValues(clockOff)); n != 3 {
			t.Errorf("%v reports are counted as of a wrong clock, want 3", n)
		}
		if status, text := send(at(-5 * time.Minute)); status != 200 || text != committed {
			t.Errorf("five minutes: %d %s", status, text)
		}
		if status, text := send(""); status != 200 || text != duplicate {
			t.Errorf("a tap that does not say its time: %d %s", status, text)
		}
	})
}
