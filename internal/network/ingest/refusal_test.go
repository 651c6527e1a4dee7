package ingest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
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
// client that does not wait for 100 Continue: it reads the answer and is not
// cut off.
func TestTooLargeIsAnswered(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		server := httptest.NewTLSServer(r.svc.Handler())
		defer server.Close()
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- the server is this test's
			TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		}}
		defer client.CloseIdleConnections()
		large := make([]byte, 3*report.DefaultLimits().Compressed)
		before := r.counts(t)
		for name, body := range map[string]func() io.Reader{
			"with its length":    func() io.Reader { return bytes.NewReader(large) },
			"without its length": func() io.Reader { return io.MultiReader(bytes.NewReader(large)) },
		} {
			for range 5 {
				q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body())
				if err != nil {
					t.Fatal(err)
				}
				q.Header = request(r.token, nil).Header
				resp, err := client.Do(q)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				var a struct {
					Error struct{ Kind, Message string }
				}
				if resp.ProtoMajor != 1 || resp.StatusCode != http.StatusRequestEntityTooLarge || err != nil || json.Unmarshal(text, &a) != nil || a.Error.Kind != "too_large" {
					t.Errorf("%s: %s %s %q (%v)", name, resp.Proto, resp.Status, text, err)
				}
			}
		}
		if diff := cmp.Diff(before, r.counts(t)); diff != "" {
			t.Errorf("rows (-before +after):\n%s", diff)
		}
	})
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
