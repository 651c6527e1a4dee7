package master_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/master/guard"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// bouncer stands in for the registrar: it keeps who is suspended, and has the
// real broker close their connections.
type bouncer struct {
	w    *world
	keys map[fleet.PeelID]*fleettest.Credentials

	mu  sync.Mutex
	out map[fleet.PeelID]fleet.Suspension
}

func (b *bouncer) suspend(ctx context.Context, id fleet.PeelID, s fleet.Suspension, _ string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, already := b.out[id]; !already {
		b.out[id] = s
	}
	return b.w.Bus.Suspend(ctx, b.keys[id].Public())
}

func (b *bouncer) suspended(id fleet.PeelID) (fleet.Suspension, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.out[id]
	return s, ok
}

// guarded starts a master that can cut peels off.
func (w *world) guarded(cfg master.Config, peels ...*fleettest.Credentials) (*master.Master, *prometheus.Registry, *bouncer) {
	w.t.Helper()
	return w.guardedBy(w.sign, cfg, peels...)
}

func (w *world) guardedBy(signer master.Signer, cfg master.Config, peels ...*fleettest.Credentials) (*master.Master, *prometheus.Registry, *bouncer) {
	w.t.Helper()
	b := &bouncer{w: w, keys: map[fleet.PeelID]*fleettest.Credentials{}, out: map[fleet.PeelID]fleet.Suspension{}}
	for _, c := range peels {
		b.keys[c.ID] = c
	}
	m, reg := w.masterWith(cfg, func(d *master.Deps) {
		d.Signer, d.Suspend, d.Suspended, d.Room = signer, b.suspend, b.suspended, w.Bus.Room
	})
	return m, reg, b
}

// bare connects as a peel, without its runtime.
func (w *world) bare(c *fleettest.Credentials, change func(*bus.ConnConfig)) *nats.Conn {
	w.t.Helper()
	cfg, err := c.BusConfig(fleettest.Log())
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Once, cfg.ReconnectWait = true, 50*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	nc, err := bus.Connect(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return nc
}

// TestTheFloodOfOneDelaysNobody: one peel sends as fast as the broker takes
// it, on every subject that it may publish; the other one's jobs are answered
// all the while, and the one is cut off.
func TestTheFloodOfOneDelaysNobody(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"of long messages": 64 << 10, "of short messages": 8} {
		t.Run(name, func(t *testing.T) { t.Parallel(); floods(t, size) })
	}
}

func floods(t *testing.T, size int) {
	w := newWorld(t)
	evil, good := w.Enroll("evil"), w.Enroll("good")
	m, reg, b := w.guarded(master.Config{Name: "m", Flood: guard.Limits{Messages: 200, Seconds: 3, CutOff: time.Hour}}, evil, good)
	w.peel(good, "")
	gone := make(chan struct{})
	var once sync.Once
	nc := w.bare(evil, func(cfg *bus.ConnConfig) {
		cfg.OnDisconnect = func(*nats.Conn, error) { once.Do(func() { close(gone) }) }
	})
	fleettest.Eventually(t, "both are there", online(m, 2))
	began := time.Now()
	var sent int
	done := make(chan struct{})
	go func() {
		defer close(done)
		big := bytes.Repeat([]byte("x"), size)
		for n := 0; ; n++ {
			select {
			case <-gone:
				sent = n
				return
			case <-t.Context().Done():
				return
			default:
			}
			subjects := []string{bus.HeartbeatSubject("evil"), bus.ReturnSubject(job.NewJID(), "evil", 0), bus.FactsSubject("evil"),
				bus.AskSubject("evil", "basket.get"), bus.EventSubject("evil", "x")}
			_ = nc.Publish(subjects[n%len(subjects)], big[:1+(n*7919)%len(big)])
		}
	}()
	worst := time.Duration(0)
	for cut := false; !cut; {
		select {
		case <-gone:
			cut = true
		default:
			if time.Since(began) > 60*time.Second {
				t.Fatal("the flood is not cut off")
			}
		}
		asked := time.Now()
		j, _ := finish(t, m, fleet.JobRequest{Target: "good", Function: "test.ping", Timeout: 30 * time.Second})
		if j.Summary.Answered != 1 {
			t.Fatalf("during the flood: %+v", j.Summary)
		}
		worst = max(worst, time.Since(asked))
	}
	<-done
	t.Logf("cut off after %s and %d messages; the slowest ping took %s", time.Since(began).Round(time.Millisecond), sent, worst.Round(time.Millisecond))
	if worst > 10*time.Second {
		t.Errorf("a ping took %s during the flood", worst)
	}
	fleettest.Eventually(t, "it is shown", func() error {
		p, err := m.Peel(t.Context(), "evil")
		if err != nil {
			return err
		}
		if p.Presence != fleet.CutOff || p.Suspension == nil || p.Suspension.Reason != fleet.SuspendedFlood || p.Suspension.Until.IsZero() || !strings.Contains(p.Suspension.Detail, "were dropped") {
			return fmt.Errorf("the peel is %s, %+v", p.Presence, p.Suspension)
		}
		return nil
	})
	if c, err := m.Counts(t.Context()); err != nil || c.CutOff != 1 || c.Connected != 1 {
		t.Errorf("counts %+v, %v", c, err)
	}
	if fleettest.Counter(t, reg, "rind_master_flood_dropped_total", "") == 0 || fleettest.Counter(t, reg, "rind_master_cut_off_total", fleet.SuspendedFlood) == 0 {
		t.Error("nothing was counted")
	}
	if _, other := b.suspended("good"); other {
		t.Error("the other peel was cut off too")
	}
	time.Sleep(300 * time.Millisecond) // several reconnects
	if nc.IsConnected() {
		t.Error("it is back")
	}
}

// What a peel sends to subjects that it may not publish, or where nobody
// listens, reaches no master. Its server has counted it.
func TestAFloodThatReachesNobodyIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	evil, good := w.Enroll("evil"), w.Enroll("good")
	m, reg, b := w.guarded(master.Config{Name: "m", ListEvery: 2 * time.Second,
		Flood: guard.Limits{Messages: 200, Seconds: 1}}, evil, good)
	w.peel(good, "")
	nc := w.bare(evil, nil)
	fleettest.Eventually(t, "both are there", online(m, 2))
	for end := time.Now().Add(30 * time.Second); nc.IsConnected() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for range 20 {
			_ = nc.Publish(bus.JobSubject("good"), []byte("not its own"))
			_ = nc.Publish(bus.EventSubject("evil", "x"), []byte("nobody listens"))
		}
	}
	fleettest.Eventually(t, "it is cut off", func() error {
		if s, out := b.suspended("evil"); !out || !strings.Contains(s.Detail, "by its server's count") {
			return fmt.Errorf("%v %+v", out, s)
		}
		return nil
	})
	fleettest.Eventually(t, "it is out", func() error {
		if nc.IsConnected() {
			return errors.New("it is connected")
		}
		return nil
	})
	if _, other := b.suspended("good"); other || fleettest.Counter(t, reg, "rind_master_cut_off_total", fleet.SuspendedFlood) == 0 {
		t.Error("the other peel was cut off too, or nothing was counted")
	}
}

// A return of the greatest size comes as fast as the peel can send it.
func TestTheLongestReturnIsNoFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.Enroll("web")
	m, reg, b := w.guarded(master.Config{Name: "m", Flood: guard.Limits{Seconds: 1}}, c)
	long := returning("test.long", job.MaxReturn-64<<10)
	w.peel(c, "", long)
	fleettest.Eventually(t, "it is there", online(m, 1))
	for range 3 {
		j, rets := finish(t, m, fleet.JobRequest{Target: "web", Function: "test.long", Timeout: time.Minute})
		if j.Summary.Answered != 1 || !rets["web"].OK || len(rets["web"].Value) < job.MaxReturn-128<<10 {
			t.Fatalf("%+v: %d bytes, %s", j.Summary, len(rets["web"].Value), rets["web"].Error)
		}
	}
	if _, out := b.suspended("web"); out || fleettest.Counter(t, reg, "rind_master_flood_dropped_total", "") != 0 {
		t.Errorf("an honest peel was cut off, or lost messages: %v", fleettest.Counter(t, reg, "rind_master_flood_dropped_total", ""))
	}
}

// Two runtimes with one key: a cloned host.
func TestACopyOfAHostIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, other := w.Enroll("web"), w.Enroll("db")
	m, reg, b := w.guarded(master.Config{Name: "m", CopyGrace: 3 * time.Second}, c, other)
	first, _ := w.peel(c, "")
	bystander, _ := w.peel(other, "")
	// The same process in a renewal: two connections, one mark, for a moment.
	time.Sleep(2 * time.Second)
	if s, out := b.suspended("web"); out {
		t.Fatalf("one process alone is a copy: %+v", s)
	}
	second, _ := w.peel(c, "")
	fleettest.Eventually(t, "the copy is seen", func() error {
		if s, out := b.suspended("web"); !out || s.Reason != fleet.SuspendedCopy || len(s.Addresses) != 2 || s.Addresses[0] == "" || !s.Until.IsZero() {
			return fmt.Errorf("%v %+v", out, s)
		}
		return nil
	})
	fleettest.Eventually(t, "both are out", func() error {
		if first.Connected() || second.Connected() {
			return errors.New("one is connected")
		}
		return nil
	})
	p, err := m.Peel(t.Context(), "web")
	if err != nil || p.Presence != fleet.CutOff {
		t.Errorf("it is shown as %s (%v)", p.Presence, err)
	}
	if fleettest.Counter(t, reg, "rind_master_cut_off_total", fleet.SuspendedCopy) == 0 {
		t.Error("it was not counted")
	}
	if _, out := b.suspended("db"); out || !bystander.Connected() {
		t.Error("another peel was hit")
	}
}

// eager renews all the time.
type eager struct {
	*fleettest.Credentials
	every time.Duration
}

func (e eager) RenewAt() time.Time { return time.Now().Add(e.every) }

// A peel that renews its permission many times, and one that is started anew
// while its old connection still hangs, are no copies.
func TestRenewalsAndRestartsAreNoCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.Enroll("web")
	m, _, b := w.guarded(master.Config{Name: "m", CopyGrace: 10 * time.Second}, c)
	start := func() *peel.Peel {
		p := peel.New(peel.Config{}, peel.Deps{Log: fleettest.Log(), Credentials: eager{c, 200 * time.Millisecond}})
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, p) })
		return p
	}
	p := start()
	fleettest.Eventually(t, "it renews ten times", func() error {
		if n := c.Renewed(); n < 10 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	fleettest.Eventually(t, "it is there", online(m, 1))
	// The connection of a process that was killed: it hangs on for a second.
	stop(t, p)
	hung := w.bare(c, func(cfg *bus.ConnConfig) { cfg.Name = bus.ConnName("web", bus.NewMark()) })
	start()
	time.Sleep(time.Second)
	hung.Close()
	time.Sleep(11 * time.Second) // longer than the grace
	if s, out := b.suspended("web"); out {
		t.Errorf("suspended: %+v", s)
	}
}

// returning makes a function whose value has so many bytes.
func returning(name string, size int) function.Function {
	return function.Function{Name: name, ReadOnly: true, Run: func(context.Context, function.Call) (function.Result, error) {
		return function.Result{Value: strings.Repeat("x", size)}, nil
	}}
}
