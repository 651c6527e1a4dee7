package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

// wire is a report of ours with another message in it.
func wire(t *testing.T, message []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(message, []byte("RIND\x01"))
}

// message is the message in a report.
func message(t *testing.T, body []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	b, err := z.DecodeAll(body[5:], nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipped(t *testing.T, text io.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.Copy(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func asJSON(t *testing.T, r *network.Report) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send posts a body over HTTP and returns the status and the answer's words.
func send(t *testing.T, client *http.Client, url, token, kind, encoding string, body io.Reader) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", kind)
	if encoding != "" {
		q.Header.Set("Content-Encoding", encoding)
	}
	resp, err := client.Do(q)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	var a struct {
		Status string
		Error  struct{ Kind, Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Errorf("the answer is no JSON: %v", err)
	}
	return resp.StatusCode, a.Status + a.Error.Message
}

// TestHostile sends what no tap sends over real HTTP, of both versions. Each is
// answered in words, nothing of it is in the database, and a good report goes
// through right after it.
func TestHostile(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		other, err := r.svc.AddTap(t.Context(), "other", 0)
		if err != nil {
			t.Fatal(err)
		}
		s := r.instance(Config{BodyTimeout: 20 * time.Second})
		good := encode(t, r.report("a", 1))
		change := func(f func(*network.Report)) []byte {
			rep := r.report("a", 1)
			f(rep)
			return asJSON(t, rep)
		}
		text := func(replace, by string) []byte {
			out := bytes.Replace(asJSON(t, r.report("a", 1)), []byte(replace), []byte(by), 1)
			if bytes.Equal(out, asJSON(t, r.report("a", 1))) {
				t.Fatalf("%q is not in the report", replace)
			}
			return out
		}
		named := r.report("a", 1)
		named.DNS[0].Name = "here.example.com"
		nul := bytes.Replace(message(t, encode(t, named)), []byte("here.example.com"), []byte("here\x00example.com"), 1)
		dangling := message(t, good)
		dangling = append(dangling, 15<<3|2, 6, 1<<3, 1, 4<<3|2, 2, 0xff, 0x7f) // one flow from address 16,383
		const ours, theirs = report.ContentType, report.JSONType
		tests := []struct {
			name, token, kind, encoding string
			body                        []byte
			status                      int
			says                        string
		}{
			{"zstd bomb", r.token, ours, "", wire(t, make([]byte, 1<<30)), 413, "expands"},
			{"zstd bomb, JSON", r.token, theirs, "zstd", wire(t, bytes.Repeat([]byte(" "), 512<<20))[5:], 413, "more than"},
			{"gzip bomb", r.token, theirs, "gzip", gzipped(t, io.LimitReader(zeros{}, 1<<30)), 400, "no JSON"},
			{"gzip bomb of rows", r.token, theirs, "gzip", gzipped(t, strings.NewReader(`{"flows":[`+strings.Repeat("{},", 5_000_000)+"{}]}")), 413, "more than"},
			{"ours as gzip", r.token, ours, "gzip", gzipped(t, bytes.NewReader(good)), 415, "compressed already"},
			{"an encoding of nobody", r.token, theirs, "br", good, 415, "gzip or zstd"},
			{"index out of range", r.token, ours, "", wire(t, dangling), 400, "out of range"},
			{"NUL in a name", r.token, ours, "", wire(t, nul), 400, "NUL"},
			{"NUL in JSON", r.token, theirs, "", text(`"version":"v1.2.3"`, `"version":"v1\u0000"`), 400, "NUL"},
			{"negative counter", r.token, theirs, "", text(`"source_packets":`, `"source_packets":-`), 400, "flows 0"},
			{"counter over the column", r.token, theirs, "", change(func(r *network.Report) { r.Flows[0].DstPkts = 1 << 63 }), 422, "flow 0"},
			{"year 9999", r.token, theirs, "", change(func(r *network.Report) { r.Flows[2].End = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }), 422, "flow 2"},
			{"10 MB name", r.token, theirs, "zstd", wire(t, change(func(r *network.Report) { r.DNS[0].Name = strings.Repeat("a", 10<<20) }))[5:], 413, "262144"},
			{"another tap's report", other, theirs, "", asJSON(t, r.report("a", 1)), 403, `token of tap "other"`},
			{"older than retention", r.token, theirs, "", change(func(r *network.Report) { r.Start = r.Start.AddDate(-1, 0, 0); r.End = r.Start }), 422, "rows are kept for"},
			{"ours, called JSON", r.token, theirs, "", good, 400, "no JSON"},
			{"JSON, called ours", r.token, ours, "", asJSON(t, r.report("a", 1)), 400, "no report"},
		}
		for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
			server := httptest.NewUnstartedServer(s.Handler())
			server.EnableHTTP2 = version == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			for _, tc := range tests {
				before := r.counts(t)
				status, words := send(t, server.Client(), server.URL, tc.token, tc.kind, tc.encoding, bytes.NewReader(tc.body))
				if status != tc.status || !strings.Contains(words, tc.says) || len(words) > 400 {
					t.Errorf("%s: %s: answered %d %.400q, want %d with %q", version, tc.name, status, words, tc.status, tc.says)
				}
				if diff := cmp.Diff(before, r.counts(t)); diff != "" {
					t.Errorf("%s: %s: rows (-before +after):\n%s", version, tc.name, diff)
				}
			}
			if l := s.Load(); l.Requests != 0 || l.Bytes != 0 {
				t.Errorf("%s: afterwards %+v", version, l)
			}
		}
		server := httptest.NewServer(s.Handler())
		defer server.Close()
		for n, form := range []struct{ kind, encoding string }{{ours, ""}, {theirs, ""}, {theirs, "gzip"}, {theirs, "zstd"}} {
			rep := r.report("a", uint64(n)+1)
			body := asJSON(t, rep)
			switch {
			case form.kind == ours:
				body = encode(t, rep)
			case form.encoding == "gzip":
				body = gzipped(t, bytes.NewReader(body))
			case form.encoding == "zstd":
				body = wire(t, body)[5:]
			}
			if status, words := send(t, server.Client(), server.URL, r.token, form.kind, form.encoding, bytes.NewReader(body)); status != 200 || words != committed {
				t.Errorf("a good report as %s %s is answered %d %s", form.kind, form.encoding, status, words)
			}
		}
		if n := r.counts(t); n["reports"] != 4 || n["flows"] != 4*60 || n["dns_queries"] != 4*20 || n["tls_hellos"] != 4*10 {
			t.Errorf("rows are %v", n)
		}
	})
}

// drops gives one byte now and then, and never an end.
type drops struct{ ctx context.Context }

func (d drops) Read(b []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, io.EOF
	case <-time.After(50 * time.Millisecond):
		b[0] = 'R'
		return 1, nil
	}
}

// TestTricklersTakeOnlyTheirShare lets one tap hold as many slow bodies open as
// it may: another one's reports go through meanwhile, and each slow one ends
// with its time.
func TestTricklersTakeOnlyTheirShare(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		slow, err := r.svc.AddTap(t.Context(), "slow", 0)
		if err != nil {
			t.Fatal(err)
		}
		s := r.instance(Config{Concurrent: 20, BodyTimeout: 3 * time.Second})
		server := httptest.NewServer(s.Handler())
		defer server.Close()
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0, DisableKeepAlives: true}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var all sync.WaitGroup
		var refused, ended atomic.Int64
		for range 30 {
			all.Go(func() {
				q, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, drops{ctx})
				if err != nil {
					t.Error(err)
					return
				}
				q.Header = request(slow, nil).Header
				resp, err := client.Do(q)
				if err != nil {
					ended.Add(1) // the connection is cut with the answer
					return
				}
				defer resp.Body.Close()
				switch resp.StatusCode {
				case http.StatusTooManyRequests:
					refused.Add(1)
				case http.StatusRequestTimeout, http.StatusBadRequest:
					ended.Add(1)
				default:
					t.Errorf("a trickle is answered %d", resp.StatusCode)
				}
			})
		}
		until(t, "the slow ones have their share", func() bool { return s.Load().Requests >= 10 })
		for n := range uint64(5) {
			if status, words := send(t, client, server.URL, r.token, report.ContentType, "", bytes.NewReader(encode(t, r.report("a", n+1)))); status != 200 {
				t.Errorf("meanwhile a good report is answered %d %s", status, words)
			}
		}
		all.Wait()
		if refused.Load() == 0 || ended.Load() == 0 {
			t.Errorf("%d were refused, %d ended with their time", refused.Load(), ended.Load())
		}
		until(t, "all room is free", func() bool { return s.Load().Requests == 0 && s.Load().Bytes == 0 })
	})
}

// TestBadTokensOverKeptConnections tries tokens over 200 connections while good
// taps report: every bad one is answered 401, or 429 for names by the thousand,
// the good ones are all committed, and what the database was asked is bounded,
// whatever the number of tries.
func TestBadTokensOverKeptConnections(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{})
		server := httptest.NewServer(s.Handler())
		defer server.Close()
		const connections, tries = 200, 10
		flood := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
		defer flood.CloseIdleConnections()
		var all sync.WaitGroup
		var unauthorised, limited atomic.Int64
		for c := range connections {
			all.Go(func() {
				for n := range tries {
					token := network.TokenPrefix + "a_" + strings.Repeat("b", 52) // a known tap, a wrong secret
					if n%2 == 1 {
						token = fmt.Sprintf("%sx%d-%d_%s", network.TokenPrefix, c, n, strings.Repeat("c", 52))
					}
					switch status, words := send(t, flood, server.URL, token, report.ContentType, "", strings.NewReader("nothing that is read")); status {
					case http.StatusUnauthorized:
						unauthorised.Add(1)
					case http.StatusTooManyRequests:
						limited.Add(1)
					default:
						t.Errorf("a bad token is answered %d %s", status, words)
					}
				}
			})
		}
		const reports = 50
		for n := range uint64(reports) {
			if status, words := send(t, server.Client(), server.URL, r.token, report.ContentType, "", bytes.NewReader(encode(t, r.report("a", n+1)))); status != 200 {
				t.Errorf("meanwhile a good report is answered %d %s", status, words)
			}
		}
		all.Wait()
		if n := unauthorised.Load() + limited.Load(); n != connections*tries || unauthorised.Load() < connections*tries/2 {
			t.Errorf("%d were answered 401, %d 429, of %d", unauthorised.Load(), limited.Load(), connections*tries)
		}
		// The clock stands still here, so that the budget does not fill again.
		if n := s.tokens.made(); n > lookupBurst+2 {
			t.Errorf("%d lookups", n)
		}
		if n := testutil.ToFloat64(s.metrics.reports.WithLabelValues(committed)); n != reports || r.counts(t)["reports"] != reports {
			t.Errorf("%v reports are committed", n)
		}
	})
}

// TestRetryAfterIsMeasured fills a node whose database stands: the surplus is
// answered 429 with a time, memory stays within the bound, and when the
// database goes on, everything that was taken is committed.
func TestRetryAfterIsMeasured(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{QueueBytes: 1 << 20, CommitTimeout: time.Minute})
		server := httptest.NewServer(s.Handler())
		defer server.Close()
		tokens := map[string]string{"a": r.token}
		for i := range 30 {
			name := fmt.Sprint("t", i)
			var err error
			if tokens[name], err = r.svc.AddTap(t.Context(), name, 0); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.tokens.authenticate(t.Context(), tokens[name]); err != nil { // the table is locked below
				t.Fatal(err)
			}
		}
		release := r.hold(t)
		var all sync.WaitGroup
		var taken, surplus, over atomic.Int64
		for name, token := range tokens {
			if name == "a" {
				continue
			}
			all.Go(func() {
				for n := range uint64(4) {
					q := request(token, bytes.NewReader(encode(t, r.report(network.TapID(name), n+1))))
					w := httptest.NewRecorder()
					s.Handler().ServeHTTP(w, q)
					if s.Load().Bytes > 1<<20 {
						over.Add(1)
					}
					switch w.Code {
					case 200:
						taken.Add(1)
					case 429:
						if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "behind") {
							t.Errorf("429 with Retry-After %q: %s", w.Header().Get("Retry-After"), w.Body)
						}
						surplus.Add(1)
					default:
						t.Errorf("answered %d %s", w.Code, w.Body)
					}
				}
			})
		}
		until(t, "some are refused", func() bool { return surplus.Load() > 0 })
		release()
		all.Wait()
		if over.Load() > 0 || taken.Load() == 0 || taken.Load()+surplus.Load() != 120 || r.counts(t)["reports"] != taken.Load() {
			t.Errorf("%d taken, %d refused, %d times over the bound, %d committed", taken.Load(), surplus.Load(), over.Load(), r.counts(t)["reports"])
		}
		pressed := r.instance(Config{})
		pressed.pressure = func() bool { return true }
		if status, words := post(t, pressed, request(r.token, unread{t})); status != 429 || !strings.Contains(words, "memory_limit") {
			t.Errorf("a node short of memory answers %d %s", status, words)
		}
	})
}
