package tap

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// The tests here provoke what docs/tuning.md lists, and look whether the tap
// tells it as the page says.

// shortSource is a source that counts as one whose ring or CPU is short.
type shortSource struct {
	fakeSource
	stats capture.Stats
	began time.Time
	idle  bool // it waits all the time
}

func (s *shortSource) Stats() (capture.Stats, error) {
	st := s.stats
	if s.idle {
		st.Waited = time.Since(s.began)
	}
	return st, nil
}

// statusOf runs a tap with the source until its status is as wanted.
func statusOf(t *testing.T, cfg Config, src capture.Source, what string, ok func(Status) bool) (s Status) {
	t.Helper()
	tap := New(cfg, Deps{Sources: one(func(string) (capture.Source, error) { return src, nil })})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, what, func() bool { s = tap.Status(); return len(s.Interfaces) > 0 && ok(s) })
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRingIsShort: TIMES FULL and DROPPED (KERNEL) grow, PEAK nears 100 %. With
// a real ring TestLedgerDrops does the same.
func TestRingIsShort(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a")
	src := &shortSource{fakeSource: fakeSource{name: "a", given: new(int)}, stats: capture.Stats{Received: 70, Dropped: 70, Freezes: 3, RingSize: 8 << 20, RingUsed: 7 << 20}}
	s := statusOf(t, cfg, src, "the drops are told", func(s Status) bool { return s.Interfaces[0].DroppedKernel == 70 })
	if i := s.Interfaces[0]; i.RingFull != 3 || i.RingPeak != 7<<20 || i.RingBytes != 8<<20 || i.Received != 70 {
		t.Errorf("the interface is %+v", i)
	}
	for _, r := range node.reports {
		if h := r.Health; h.RingFull == 3 && h.RingUsed == 7<<20 {
			return
		}
	}
	t.Error("no report tells that the ring was full")
}

// TestCPUIsShort: BUSY is near 100 % when a worker never waits, and near none
// when it always does.
func TestCPUIsShort(t *testing.T) {
	t.Parallel()
	for name, idle := range map[string]bool{"working": false, "waiting": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			cfg.Interfaces = Named("a")
			src := &shortSource{fakeSource: fakeSource{name: "a", given: new(int)}, idle: idle, began: time.Now()}
			statusOf(t, cfg, src, name, func(s Status) bool {
				busy := s.Interfaces[0].Busy
				return idle && s.Interfaces[0].Up && busy > 0 && busy < 0.6 || !idle && busy > 0.99
			})
		})
	}
}

// TestTableIsFull: FLOWS reaches OF, and EVICTED grows.
func TestTableIsFull(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Interfaces = Named("a")
	cfg.Flow.MaxFlows = 1024
	cfg.Report.Interval = time.Second
	src := &fakeSource{name: "a", frames: packettest.Mix(3, 60_000), given: new(int)}
	s := statusOf(t, cfg, src, "flows are put out", func(s Status) bool {
		return s.Interfaces[0].FlowsEvicted > 0 && s.Interfaces[0].FlowsMax > 0 // the one is published by the worker, the other with the report
	})
	if i := s.Interfaces[0]; i.FlowsMax != 1024 || i.FlowsActive > i.FlowsMax {
		t.Errorf("the interface is %+v", i)
	}
}

// TestSpoolIsFull: spool shows its bound, and dropped grows, also in the health
// of reports.
func TestSpoolIsFull(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	node.set(http.StatusServiceUnavailable)
	cfg := testConfig(t, node.URL)
	cfg.Spool.MaxBytes = 1 << 20
	cfg.Spool.MaxAge = 500 * time.Millisecond
	tap := New(cfg, Deps{})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reports are dropped", func() bool { return tap.Status().Spool.Dropped > 2 })
	if s := tap.Status(); s.Spool.Age > 20*time.Second || s.Spool.MaxAge != 500*time.Millisecond || s.Delivery.LastError == "" {
		t.Errorf("the status is %+v", s)
	}
	node.set(0)
	eventually(t, "the node is told", func() bool {
		node.mu.Lock()
		defer node.mu.Unlock()
		return len(node.reports) > 0 && node.reports[len(node.reports)-1].Health.SpoolDropped > 2
	})
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestWayIsSlow: the spool grows while reports are delivered and nothing fails,
// because each takes longer than an interval.
func TestWayIsSlow(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	handler := node.Config.Handler
	var fast atomic.Bool
	node.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for end := time.Now().Add(time.Second); !fast.Load() && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		handler.ServeHTTP(w, r)
	})
	tap := New(testConfig(t, node.URL), Deps{})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the spool grows while reports are committed", func() bool {
		s := tap.Status()
		return s.Spool.Reports > 8 && s.Delivery.Committed > 1
	})
	if s := tap.Status(); s.Delivery.LastError != "" || s.Delivery.Retries != 0 || s.Spool.Dropped != 0 {
		t.Errorf("the status is %+v, %+v", s.Spool, s.Delivery)
	}
	fast.Store(true)
	eventually(t, "the spool is empty again", func() bool { return tap.Status().Spool.Reports < 2 })
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestTuningIsProvoked: each row that docs/tuning.md has of a tap names tests,
// and those are there.
func TestTuningIsProvoked(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/tuning.md")
	if err != nil {
		t.Fatal(err)
	}
	page, _, found := bytes.Cut(page, []byte("## Tuning nodes"))
	if !found {
		t.Fatal("the page has no part of nodes")
	}
	there := map[string]bool{}
	for _, dir := range []string{"..", "../../app/tap"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what is seen") {
			continue
		}
		rows++
		cells := strings.Split(strings.TrimSpace(line), " | ")
		names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(names) == 0 {
			t.Errorf("no test provokes %s", cells[0])
		}
		for _, n := range names {
			if !there[n[1]] {
				t.Errorf("%s is named and not there", n[1])
			}
		}
	}
	if rows < 12 {
		t.Errorf("%d rows", rows)
	}
}

// TestClockIsOff: clock shows by how much, and so does the health of reports.
func TestClockIsOff(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	var off atomic.Int64
	handler := node.Config.Handler
	node.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(off.Load())).UTC().Format(http.TimeFormat))
		if off.Load() != 0 {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"error":{"kind":"conflict","message":"set the clock"}}`))
			return
		}
		handler.ServeHTTP(w, r)
	})
	off.Store(int64(time.Hour))
	tap := New(testConfig(t, node.URL), Deps{})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the clock is told", func() bool {
		s := tap.Status()
		return (s.Delivery.Skew-time.Hour).Abs() < 5*time.Second && s.Spool.Reports > 3
	})
	if s := tap.Status(); !strings.Contains(s.Delivery.LastError, "set the clock") || s.Delivery.Denied {
		t.Errorf("the delivery is %+v", s.Delivery)
	}
	off.Store(0)
	eventually(t, "the reports are taken", func() bool { return tap.Status().Spool.Reports == 0 && tap.Status().Delivery.Committed > 3 })
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range node.reports {
		if (r.Health.ClockSkew - time.Hour).Abs() < 5*time.Second {
			return
		}
	}
	t.Error("no report says that the clock was off")
}
