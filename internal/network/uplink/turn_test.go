package uplink

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTurn has reports go to other nodes while the sender waits to try again,
// to none, and to one again.
func TestTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, SpoolConfig{Dir: t.TempDir()})
		begin(t, s, "one", time.Now())
		appendReport(t, s, 1, "x")
		node := &fakeNode{script: []answer{down}}
		sender, _ := newTestSender(t, s, node, "https://one")
		if err := sender.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		node.mu.Lock()
		node.script, node.seen = []answer{committed}, nil
		node.mu.Unlock()
		if err := sender.Turn(SenderConfig{URLs: []string{"nowhere"}}, nil); err == nil {
			t.Error("a bad address is taken")
		}
		began := time.Now()
		if err := sender.Turn(SenderConfig{URLs: []string{"https://two", "https://three"}}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if wait := time.Since(began); wait != 0 || s.Stats().Reports != 0 {
			t.Errorf("after %s there are %d reports", wait, s.Stats().Reports)
		}
		if err := sender.Turn(SenderConfig{}, nil); err != nil {
			t.Fatal(err)
		}
		appendReport(t, s, 2, "x")
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := sender.Turn(SenderConfig{URLs: []string{"https://four"}}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := sender.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"two 1 Bearer tok", "four 2 Bearer tok"}, node.seen); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// TestBound narrows the bounds of a spool in use.
func TestBound(t *testing.T) {
	t.Parallel()
	s := open(t, SpoolConfig{Dir: t.TempDir()})
	begin(t, s, "one", time.Now())
	for n := range uint64(10) {
		appendReport(t, s, n+1, strings.Repeat("x", 1000))
	}
	s.Bound(4*(1000+fileHeader), time.Hour)
	if e, ok := s.Oldest(); !ok || e.Sequence != 7 || s.Stats().Dropped != 6 || s.Stats().Reports != 4 {
		t.Errorf("the oldest is %+v, the spool %+v", e, s.Stats())
	}
	s.Bound(1<<30, time.Nanosecond)
	if st := s.Stats(); st.Reports != 0 || st.Dropped != 10 {
		t.Errorf("all are too old, and the spool is %+v", st)
	}
}

// TestClockIsRefused has a node refuse a report for the clock. The tap says by
// how much its clock is off, keeps the report, and delivers it once that is set.
func TestClockIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, SpoolConfig{Dir: t.TempDir()})
		begin(t, s, "one", time.Now())
		appendReport(t, s, 1, "x")
		node := &fakeNode{script: []answer{refused(409, "conflict")}, skew: 20 * time.Minute}
		sender, reg := newTestSender(t, s, node)
		if err := sender.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		st := sender.Status()
		if (st.Skew-20*time.Minute).Abs() > time.Second || st.Denied || st.Quarantined != 0 || !strings.Contains(st.LastError, "409") {
			t.Errorf("the status is %+v", st)
		}
		if got := value(t, reg, "rind_tap_clock_skew_seconds", ""); got < 1199 || got > 1201 {
			t.Errorf("the gauge is %v", got)
		}
		node.mu.Lock()
		node.script, node.skew = []answer{committed}, 0
		node.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if err := sender.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := sender.Status(); st.Committed != 1 || st.Skew.Abs() > time.Second || s.Stats().Reports != 0 {
			t.Errorf("once the clock is set the status is %+v", st)
		}
	})
}

// TestTokenIsAskedEachTime renews a token that is refused.
func TestTokenIsAskedEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, SpoolConfig{Dir: t.TempDir()})
		begin(t, s, "one", time.Now())
		appendReport(t, s, 1, "x")
		node := &fakeNode{script: []answer{refused(401, "unauthorized"), refused(401, "unauthorized"), committed}}
		tokens := []string{"", "old", "older", "new"}
		sender, err := NewSender(SenderConfig{URLs: []string{"https://one"}}, SenderDeps{Spool: s, Transport: node, Token: func() (string, error) {
			token := tokens[0]
			if len(tokens) > 1 {
				tokens = tokens[1:]
			}
			if token == "" {
				return "", errors.New("the file is empty")
			}
			return token, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if err := sender.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"one 1 Bearer old", "one 1 Bearer older", "one 1 Bearer new"}, node.seen); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// TestRetryAfterDate reads the header's other form, and bounds both.
func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"7": 7 * time.Second, "86400": maxRetryAfter, noon.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		noon.Add(-time.Hour).Format(http.TimeFormat): 0, noon.Add(time.Hour).Format(http.TimeFormat): maxRetryAfter, "-1": 0, "soon": 0, "": 0,
	} {
		resp := &http.Response{Header: http.Header{"Retry-After": {text}}}
		if got := retryAfter(resp, noon); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// TestProxy delivers through an HTTP proxy that is configured.
func TestProxy(t *testing.T) {
	t.Parallel()
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		_, _ = w.Write([]byte(committed.body))
	}))
	defer proxy.Close()
	s := open(t, SpoolConfig{Dir: t.TempDir()})
	begin(t, s, "one", time.Now())
	appendReport(t, s, 1, "x")
	// A name that nobody can resolve: only the proxy is asked.
	sender, err := NewSender(SenderConfig{URLs: []string{"http://node.invalid:8443"}, Proxy: proxy.URL}, SenderDeps{Spool: s, Token: func() (string, error) { return "tok", nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Drain(t.Context(), 1, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"POST http://node.invalid:8443/api/v1/reports"}, asked); diff != "" {
		t.Errorf("the proxy was asked (-want +got):\n%s", diff)
	}
	// An address at which nothing listens.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	appendReport(t, s, 2, "x")
	if err := sender.Turn(SenderConfig{URLs: []string{"http://node.invalid:8443"}, Proxy: "http://" + l.Addr().String()}, nil); err != nil {
		t.Fatal(err)
	}
	sender.take()
	if err := sender.Drain(t.Context(), 1, nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("through a proxy that is away: %v", err)
	}
}
