package uplink

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
)

// fakeNode answers by a script, one line per request; the last line is used
// for all further ones.
type fakeNode struct {
	mu     sync.Mutex
	script []answer
	seen   []string // "host sequence token" of each request
	at     []time.Time
	skew   time.Duration
}

type answer struct {
	status int
	body   string
	after  string // Retry-After
	err    error
}

var (
	committed = answer{status: 200, body: `{"status":"committed"}`}
	again     = answer{status: 200, body: `{"status":"duplicate"}`}
	down      = answer{err: errors.New("connection refused")}
)

func refused(status int, kind string) answer {
	return answer{status: status, body: fmt.Sprintf(`{"error":{"kind":%q,"message":"because"}}`, kind)}
}

func (n *fakeNode) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = io.Copy(io.Discard, r.Body)
	n.seen = append(n.seen, fmt.Sprintf("%s %s %s", r.URL.Host, r.Header.Get("Rind-Sequence"), r.Header.Get("Authorization")))
	n.at = append(n.at, time.Now())
	a := n.script[0]
	if len(n.script) > 1 {
		n.script = n.script[1:]
	}
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{"Date": {time.Now().Add(n.skew).UTC().Format(http.TimeFormat)}}
	if a.after != "" {
		h.Set("Retry-After", a.after)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// sequences are the numbers of the requests, in order.
func (n *fakeNode) sequences() (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.seen {
		out = append(out, strings.Fields(s)[1])
	}
	return out
}

func newTestSender(t *testing.T, s *Spool, node *fakeNode, urls ...string) (*Sender, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	if urls == nil {
		urls = []string{"https://one:8443/"}
	}
	sender, err := NewSender(SenderConfig{URLs: urls}, SenderDeps{Spool: s, Transport: node, Metrics: reg, Token: func() (string, error) { return "tok", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return sender, reg
}

func value(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// run sends in a bubble of fake time for so long and returns the node's view.
func run(t *testing.T, reports int, script []answer, long time.Duration, urls ...string) (*fakeNode, *Sender, *Spool, *prometheus.Registry) {
	t.Helper()
	s := open(t, SpoolConfig{Dir: t.TempDir()})
	begin(t, s, "one", time.Now())
	for n := range reports {
		appendReport(t, s, uint64(n+1), "x")
	}
	node := &fakeNode{script: script}
	sender, reg := newTestSender(t, s, node, urls...)
	if err := sender.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(long)
	synctest.Wait()
	if err := sender.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return node, sender, s, reg
}

func TestSenderInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		script := []answer{committed, down, down, again, refused(503, "unavailable"), committed}
		node, sender, s, reg := run(t, 4, script, time.Minute)
		if diff := cmp.Diff([]string{"1", "2", "2", "2", "3", "3", "4"}, node.sequences()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		if st := sender.Status(); st.Committed != 3 || st.Duplicates != 1 || st.Retries != 3 || st.LastError != "" {
			t.Errorf("status is %+v", st)
		}
		if n := s.Stats().Reports; n != 0 {
			t.Errorf("%d reports stay", n)
		}
		for name, want := range map[string]float64{"committed": 3, "duplicate": 1} {
			if got := value(t, reg, "rind_tap_reports_total", name); got != want {
				t.Errorf("%s counts %v, want %v", name, got, want)
			}
		}
		if node.seen[0] != "one:8443 1 Bearer tok" {
			t.Errorf("the request is %q", node.seen[0])
		}
	})
}

func TestSenderBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, _, s, reg := run(t, 1, []answer{down}, time.Hour)
		for i := 1; i < len(node.at); i++ {
			full := min(time.Minute, 500*time.Millisecond<<min(i-1, 20))
			if wait := node.at[i].Sub(node.at[i-1]); wait < full/2 || wait > full+time.Millisecond {
				t.Errorf("wait %d is %s, want between half of and %s", i, wait, full)
			}
		}
		if n := len(node.at); n < 60 || n > 140 {
			t.Errorf("%d tries in an hour", n)
		}
		if n := s.Stats().Reports; n != 1 {
			t.Errorf("%d reports are in the spool, want 1", n)
		}
		if got := value(t, reg, "rind_tap_delivery_retries_total", ""); got != float64(len(node.at)) {
			t.Errorf("%v retries are counted, want %d", got, len(node.at))
		}
	})
}

func TestSenderRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := refused(429, "rate_limited")
		busy.after = "90"
		node, _, _, _ := run(t, 1, []answer{busy, committed}, 5*time.Minute)
		if len(node.at) != 2 || node.at[1].Sub(node.at[0]) != 90*time.Second {
			t.Errorf("requests at %v", node.at)
		}
	})
}

func TestSenderTakesTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, _, _, _ := run(t, 2, []answer{down, committed, committed}, 100*time.Millisecond, "https://one", "https://two")
		want := []string{"one 1 Bearer tok", "two 1 Bearer tok", "two 2 Bearer tok"}
		if diff := cmp.Diff(want, node.seen); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

func TestSenderPutsAside(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413, 415, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, sender, s, reg := run(t, 2, []answer{refused(status, "invalid"), committed}, time.Second)
				if diff := cmp.Diff([]string{"1", "2"}, node.sequences()); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
				if st := s.Stats(); st.Reports != 0 || st.Quarantined != 1 {
					t.Errorf("the spool is %+v", st)
				}
				if st := sender.Status(); st.Quarantined != 1 || !strings.Contains(st.LastRefusal, "because") {
					t.Errorf("status is %+v", st)
				}
				if got := value(t, reg, "rind_tap_reports_total", fmt.Sprint("quarantined_", status)); got != 1 {
					t.Errorf("the counter is %v", got)
				}
			})
		})
	}
}

// TestSenderKeeps lists answers after which a report must stay: above all
// those that a proxy gives and not a node.
func TestSenderKeeps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer answer
		denied bool
	}{
		{"401", refused(401, "unauthorized"), true},
		{"403", refused(403, "forbidden"), true},
		{"a proxy's 413", answer{status: 413, body: "<html>"}, false},
		{"a proxy's 400", answer{status: 400, body: ""}, false},
		{"404", answer{status: 404, body: "not found"}, false},
		{"a page with 200", answer{status: 200, body: "<html>welcome"}, false},
		{"another 200", answer{status: 200, body: `{"status":"ok"}`}, false},
		{"a redirect", answer{status: 302, body: ""}, false},
		{"408", refused(408, "unavailable"), false},
		{"500", answer{status: 500, body: ""}, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, sender, s, _ := run(t, 1, []answer{tc.answer}, 10*time.Minute)
				if st := s.Stats(); st.Reports != 1 || st.Quarantined != 0 {
					t.Errorf("the spool is %+v", st)
				}
				if st := sender.Status(); st.LastError == "" || st.Denied != tc.denied {
					t.Errorf("status is %+v", st)
				}
				if n := len(node.at); tc.denied && (n < 8 || n > 21) || n < 2 {
					t.Errorf("%d tries in ten minutes", n)
				}
			})
		})
	}
}

func TestSenderSkew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, SpoolConfig{Dir: t.TempDir()})
		begin(t, s, "one", time.Now())
		appendReport(t, s, 1, "x")
		node := &fakeNode{script: []answer{committed}, skew: -time.Hour}
		sender, reg := newTestSender(t, s, node)
		if err := sender.Drain(t.Context(), 1, nil); err != nil {
			t.Fatal(err)
		}
		if skew := sender.Status().Skew; (skew + time.Hour).Abs() > time.Second {
			t.Errorf("the skew is %s, want -1h", skew)
		}
		if got := value(t, reg, "rind_tap_clock_skew_seconds", ""); got > -3599 || got < -3601 {
			t.Errorf("the gauge is %v", got)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, SpoolConfig{Dir: t.TempDir()})
		begin(t, s, "one", time.Now())
		for n := range uint64(3) {
			appendReport(t, s, n+1, "x")
		}
		node := &fakeNode{script: []answer{down, committed, refused(401, "unauthorized")}}
		sender, _ := newTestSender(t, s, node)
		calls := 0
		err := sender.Drain(t.Context(), 5, func(Status) { calls++ })
		if err == nil || !strings.Contains(err.Error(), "401") || calls != 1 || s.Stats().Reports != 2 {
			t.Errorf("a denied drain gives %v after %d, %d stay", err, calls, s.Stats().Reports)
		}
		node.script = []answer{down}
		if err := sender.Drain(t.Context(), 3, nil); err == nil || len(node.at) != 6 {
			t.Errorf("a drain to nowhere gives %v after %d requests", err, len(node.at))
		}
		node.script = []answer{committed}
		if err := sender.Drain(t.Context(), 3, nil); err != nil || s.Stats().Reports != 0 {
			t.Errorf("the last drain gives %v", err)
		}
	})
}

func TestNewSenderRefuses(t *testing.T) {
	t.Parallel()
	for _, urls := range [][]string{nil, {"node:8443"}, {"ftp://node"}, {"https://"}} {
		if _, err := NewSender(SenderConfig{URLs: urls}, SenderDeps{}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v gives %v", urls, err)
		}
	}
	if _, err := NewSender(SenderConfig{URLs: []string{"https://a"}, Proxy: "::"}, SenderDeps{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a bad proxy gives %v", err)
	}
}
