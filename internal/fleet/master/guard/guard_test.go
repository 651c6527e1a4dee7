package guard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// watched is a guard with a clock of its own.
type watched struct {
	*Guard
	now time.Time
	cid uint64
	cut []fleet.Suspension // of the peel web

	there []connection.Entry // the connections that the server has
}

func newWatched() *watched {
	w := &watched{now: time.Now()}
	w.Guard = New(Config{CopyGrace: 90 * time.Second, ListEvery: time.Minute}, Deps{CutOff: func(_ fleet.PeelID, s fleet.Suspension) { w.cut = append(w.cut, s) }})
	return w
}

// connect makes a connection of a process and says whether it is a copy's.
func (w *watched) connect(mark string) (connection.ID, bool) {
	w.cid++
	e := connection.Entry{ID: connection.ID{Server: "s1", CID: w.cid}, Peel: "web", Name: bus.ConnName("web", mark), Address: "192.0.2.1"}
	w.there = append(w.there, e)
	return e.ID, w.cuts(func() { w.Connected(e, w.now) })
}

// cuts reports whether a peel is cut off by what is done.
func (w *watched) cuts(do func()) bool {
	before := len(w.cut)
	do()
	return len(w.cut) > before
}

func (w *watched) pass(d time.Duration) { w.now = w.now.Add(d) }

// leave ends a connection; the server may not tell.
func (w *watched) leave(c connection.ID, told bool) {
	w.there = slices.DeleteFunc(w.there, func(e connection.Entry) bool { return e.ID == c })
	if told {
		w.Disconnected(connection.Entry{ID: c, Peel: "web"})
	}
}

// twice lists the connections and says whether they are a copy's.
func (w *watched) twice() bool {
	w.Listed("s1", w.there, w.now)
	return w.cuts(func() { w.copies(w.now) })
}

func TestCopies(t *testing.T) {
	t.Parallel()
	const a, b = "00000000000000aa", "00000000000000bb"
	tests := map[string]struct {
		do     func(*watched) bool // reports what was seen while it went on
		copied bool
	}{
		"one process": {func(w *watched) bool { _, c := w.connect(a); w.pass(time.Hour); return c }, false},
		"a renewal": {func(w *watched) bool {
			old, x := w.connect(a)
			w.pass(8 * time.Hour)
			_, y := w.connect(a)
			w.pass(30 * time.Second)
			seen := w.twice()
			w.leave(old, true)
			w.pass(time.Hour)
			return x || y || seen
		}, false},
		"a restart whose old connection hangs": {func(w *watched) bool {
			old, x := w.connect(a)
			w.pass(time.Hour)
			_, y := w.connect(b)
			w.pass(65 * time.Second)
			seen := w.twice()
			w.leave(old, true)
			w.pass(time.Hour)
			return x || y || seen
		}, false},
		"many restarts": {func(w *watched) bool {
			seen := false
			for n := range 20 {
				c, x := w.connect(fmt.Sprintf("%016x", n+1))
				w.pass(3 * time.Second)
				w.leave(c, true)
				seen = seen || x
			}
			return seen
		}, false},
		"two that stay": {func(w *watched) bool { w.connect(a); w.connect(b); w.pass(91 * time.Second); return false }, true},
		"two of one mark that stay, as after a clone of a running machine": {func(w *watched) bool {
			w.connect(a)
			w.connect(a)
			w.pass(4 * time.Minute)
			if w.twice() {
				return true
			}
			w.pass(2 * time.Minute)
			return false
		}, true},
		"a restart whose old connection ended untold": {func(w *watched) bool {
			old, x := w.connect(a)
			w.pass(time.Hour)
			w.leave(old, false)
			_, y := w.connect(b)
			w.pass(time.Hour)
			return x || y || w.cuts(func() { w.copies(w.now) })
		}, false},
		"a server that died with a connection": {func(w *watched) bool {
			_, x := w.connect(a)
			w.pass(time.Hour)
			w.Gone("s1")
			w.there = nil
			_, y := w.connect(b)
			w.pass(time.Hour)
			return x || y
		}, false},
		"two that alternate": {func(w *watched) bool {
			c, _ := w.connect(a)
			w.pass(time.Hour)
			d, _ := w.connect(b)
			w.leave(c, true)
			w.pass(time.Minute)
			w.leave(d, true)
			_, x := w.connect(a)
			return x
		}, true},
		"events that came in another order": {func(w *watched) bool {
			c, _ := w.connect(a)
			w.pass(time.Second)
			w.connect(b)
			w.leave(c, true)
			c, x := w.connect(a)
			w.leave(c, true)
			return x
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched()
			if got := tt.do(w) || w.twice(); got != tt.copied {
				t.Errorf("a copy: %v, want %v", got, tt.copied)
			}
		})
	}
}

func TestWhatServersCount(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		age   time.Duration // of the connection at the first list
		lists [][2]int64    // messages and bytes by then, a minute apart
		loud  bool
	}{
		"a quiet one":                 {time.Second, [][2]int64{{10, 1000}, {20, 2000}}, false},
		"a loud one":                  {time.Second, [][2]int64{{10, 1000}, {61_000, 2000}}, true},
		"a heavy one":                 {time.Second, [][2]int64{{10, 1000}, {20, 5 << 30}}, true},
		"an old one with much behind": {time.Hour, [][2]int64{{1 << 30, 1 << 40}, {1<<30 + 10, 1 << 40}}, false},
		"an old one that became loud": {time.Hour, [][2]int64{{1 << 30, 1 << 40}, {1<<30 + 61_000, 1 << 40}}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched()
			began, loud := w.now.Add(tt.age), false
			for _, sent := range tt.lists {
				list := []connection.Entry{{ID: connection.ID{Server: "s1", CID: 1}, Peel: "web", Start: w.now, Sent: connection.Traffic{Msgs: sent[0], Bytes: sent[1]}}}
				loud = w.cuts(func() { w.Listed("s1", list, began) }) || loud
				began = began.Add(time.Minute)
			}
			if loud != tt.loud {
				t.Errorf("loud: %v, want %v", loud, tt.loud)
			}
		})
	}
	// A peel that reconnects all the time hides nothing.
	w := newWatched()
	w.now = time.Now()
	for range 100 {
		c, _ := w.connect("00000000000000aa")
		w.Disconnected(connection.Entry{ID: c, Peel: "web", Sent: connection.Traffic{Msgs: 1000, Bytes: 1000}})
	}
	if !w.cuts(func() { w.Listed("s1", nil, w.now) }) || w.cut[0].Reason != fleet.SuspendedFlood {
		t.Error("what was sent over connections that ended is not counted")
	}
	// What it was cut off for is not held against it when it comes back, nor what
	// it had sent before that.
	w = newWatched()
	w.now = time.Now()
	first, _ := w.connect("00000000000000aa")
	w.Disconnected(connection.Entry{ID: first, Peel: "web", Sent: connection.Traffic{Msgs: 61_000}})
	second, _ := w.connect("00000000000000aa")
	w.Disconnected(connection.Entry{ID: second, Peel: "web", Sent: connection.Traffic{Msgs: 61_000}, Revoked: true})
	if w.cuts(func() { w.Listed("s1", nil, w.now) }) {
		t.Error("one that was cut off is cut off again for the same")
	}
	// Nor does one hide anything that has just begun.
	w = newWatched()
	w.connect("00000000000000aa")
	w.there[0].Sent = connection.Traffic{Msgs: 61_000, Bytes: 1000}
	if !w.cuts(func() { w.Listed("s1", w.there, w.now.Add(30*time.Second)) }) {
		t.Error("what was sent over a new connection is not counted")
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	m := newMeter(Limits{Messages: 100, Bytes: 1 << 20, Seconds: 3})
	at := time.Now()
	send := func(id fleet.PeelID, perSecond, size, seconds int) (dropped int, report string) {
		for n := range perSecond * seconds {
			pass, r := m.take(id, size, at.Add(time.Duration(n)*time.Second/time.Duration(perSecond)))
			if !pass {
				dropped++
			}
			report += r
		}
		return dropped, report
	}
	if dropped, report := send("honest", 99, 10, 60); dropped != 0 || report != "" {
		t.Errorf("below the pace: %d dropped, %q", dropped, report)
	}
	if dropped, report := send("burst", 200, 10, 1); dropped != 0 || report != "" {
		t.Errorf("two seconds' allowance at once: %d dropped, %q", dropped, report)
	}
	if dropped, report := send("short", 1000, 10, 3); dropped < 2000 || report != "" {
		t.Errorf("an excess that ends: %d dropped, %q", dropped, report)
	}
	if dropped, report := send("loud", 1000, 10, 8); dropped < 5000 || report == "" {
		t.Errorf("an excess that lasts: %d dropped, %q", dropped, report)
	}
	if dropped, report := send("heavy", 50, 1<<20, 8); dropped == 0 || report == "" {
		t.Errorf("an excess of bytes: %d dropped, %q", dropped, report)
	}
	for n := range maxMetered + 10 {
		m.take(fleet.PeelID(fmt.Sprintf("p%d", n)), 1, at.Add(time.Hour))
	}
	if len(m.by) > maxMetered {
		t.Errorf("%d peels are remembered", len(m.by))
	}
}

func TestLimitsRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Limits{
		"messages": {Messages: 5}, "bytes": {Bytes: 1 << 20}, "seconds": {Seconds: -1}, "cut_off": {CutOff: time.Millisecond},
	} {
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	a, b := bus.NewMark(), bus.NewMark()
	if a == b || parseMark(bus.ConnName("web", a)) == 0 || parseMark(bus.ConnName("web", a)) == parseMark(bus.ConnName("web", b)) {
		t.Errorf("marks %s and %s", a, b)
	}
	for _, name := range []string{"", "web", "web#", "web#zz", "web#00000000000000zz", "web#" + a + a} {
		if parseMark(name) != 0 {
			t.Errorf("%q has a mark", name)
		}
	}
}

// TestMetered: what a peel sends too fast reaches nobody, at either of two
// subscriptions, and it is cut off when it goes on; the others are heard.
func TestMetered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cut []fleet.PeelID
		dropped := prometheus.NewCounter(prometheus.CounterOpts{Name: "dropped"})
		g := New(Config{Flood: Limits{Messages: 100, Seconds: 3, CutOff: time.Hour}}, Deps{Dropped: dropped, CutOff: func(id fleet.PeelID, s fleet.Suspension) {
			if s.Reason != fleet.SuspendedFlood || s.Until.Sub(s.Since) != time.Hour {
				t.Errorf("%s is cut off as %+v", id, s)
			}
			cut = append(cut, id)
		}})
		heard := map[string]int{}
		count := func(at string) nats.MsgHandler { return func(m *nats.Msg) { heard[at+" "+m.Subject]++ } }
		counted, beside := g.Metered(true, count("counted")), g.Metered(false, count("beside"))
		evil, good := &nats.Msg{Subject: bus.HeartbeatSubject("evil")}, &nats.Msg{Subject: bus.HeartbeatSubject("good")}
		for range 4 * 1000 {
			counted(evil)
			beside(evil)
			time.Sleep(time.Millisecond)
		}
		for range 50 {
			counted(good)
			beside(good)
		}
		counted(&nats.Msg{Subject: "malformed"})
		want := map[string]int{"counted " + good.Subject: 50, "beside " + good.Subject: 50, "counted malformed": 1}
		for subject, n := range want {
			if heard[subject] != n {
				t.Errorf("%s: %d heard, want %d", subject, heard[subject], n)
			}
		}
		// Two seconds' allowance, and a hundred for each of the four.
		if n := heard["counted "+evil.Subject]; n < 590 || n > 610 || int(testutil.ToFloat64(dropped)) != 4000-n {
			t.Errorf("%d of the flood were heard, and %v dropped", n, testutil.ToFloat64(dropped))
		}
		if n := heard["beside "+evil.Subject]; n > 610 {
			t.Errorf("%d of the flood were heard beside", n)
		}
		if !slices.Equal(cut, []fleet.PeelID{"evil"}) {
			t.Errorf("cut off: %v", cut)
		}
	})
}
