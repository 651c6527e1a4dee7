package registrar_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// trail is the audit trail of a test.
type trail struct {
	mu    sync.Mutex
	lines []string
}

func (a *trail) write(_ context.Context, by, action, object, detail string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, fmt.Sprint(by, " ", action, " ", object, " ", detail))
	return nil
}

func (a *trail) all() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.lines, "\n")
}

func (w *world) state(id fleet.PeelID) enroll.State {
	w.t.Helper()
	rec, err := w.Show(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.State
}

func flood(w *world, d time.Duration) fleet.Suspension {
	return fleet.Suspension{Reason: fleet.SuspendedFlood, Detail: "it sent 9000 messages a second", Since: w.now(), Until: w.now().Add(d)}
}

// canConnect tries the permission that the identity holds now.
func (w *world) canConnect(id *enroll.Identity) error {
	cfg, err := id.BusConfig(nil)
	if err != nil {
		return err
	}
	cfg.Once = true
	nc, err := bus.Connect(w.t.Context(), cfg)
	if err == nil {
		nc.Close()
	}
	return err
}

func TestAFloodIsSuspendedAndComesBackByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join(w.host("web-01", w.token(true)))
	_, gone := w.connect(id)
	var audit trail
	deps := w.dep
	deps.Audit = audit.write
	r := w.registrar(deps)
	if err := r.Suspend(t.Context(), "web-01", flood(w, time.Hour), "master m1"); err != nil {
		t.Fatal(err)
	}
	out(t, gone)
	if err := w.canConnect(id); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("with the permission from before: %v", err)
	}
	refused(t, id.Renew(t.Context()), errs.Forbidden, "rind enroll approve web-01")
	refused(t, id.Renew(t.Context()), errs.Forbidden, "9000 messages")
	if s, ok := r.Suspended("web-01"); !ok || s.Reason != fleet.SuspendedFlood {
		t.Errorf("Suspended says %+v, %v", s, ok)
	}
	if ids, err := r.Enrolled(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("it is no peel any more: %v, %v", ids, err)
	}
	if got := audit.all(); strings.Count(got, "peel.suspend web-01") != 1 || !strings.Contains(got, "master m1") {
		t.Errorf("the trail says %q", got)
	}
	// A second master that saw it too changes nothing.
	if err := r.Suspend(t.Context(), "web-01", flood(w, 2*time.Hour), "master m2"); err != nil {
		t.Fatal(err)
	}
	if got := audit.all(); strings.Contains(got, "m2") {
		t.Errorf("the trail says %q", got)
	}
	w.setClock(61 * time.Minute)
	for began := time.Now(); w.state("web-01") != enroll.Approved; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("never lifted")
		}
	}
	w.setClock(0)
	time.Sleep(time.Second) // permissions are told apart by the second in which they were issued
	if err := id.Renew(t.Context()); err != nil {
		t.Fatalf("after the suspension: %v", err)
	}
	if err := w.canConnect(id); err != nil {
		t.Errorf("after the suspension: %v", err)
	}
}

func TestASuspensionIsLiftedByApprove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join(w.host("web-01", w.token(true)))
	if err := w.Suspend(t.Context(), "web-01", flood(w, time.Hour), "master m1"); err != nil {
		t.Fatal(err)
	}
	if err := w.Approve(t.Context(), "web-01", "alice", false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := id.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.canConnect(id); err != nil {
		t.Error(err)
	}
	refused(t, w.Suspend(t.Context(), "nobody", flood(w, time.Hour), "m"), errs.Conflict, "no peel")
}

func TestACopyIsOutUntilOneEnrollsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	both := w.join(w.host("web-01", w.token(true)))
	_, gone := w.connect(both)
	copied := fleet.Suspension{Reason: fleet.SuspendedCopy, Since: w.now(), Addresses: []string{"192.0.2.1", "192.0.2.2"}}
	if err := w.Suspend(t.Context(), "web-01", copied, "master m1"); err != nil {
		t.Fatal(err)
	}
	out(t, gone)
	refused(t, both.Renew(t.Context()), errs.Forbidden, "192.0.2.1 and 192.0.2.2")
	refused(t, w.Approve(t.Context(), "web-01", "alice", false), errs.Conflict, "rind enroll approve --replace web-01")
	w.setClock(365 * 24 * time.Hour)
	if s, ok := w.Suspended("web-01"); !ok || s.Reason != fleet.SuspendedCopy {
		t.Error("it ended by itself")
	}
	w.setClock(0)

	// One of the hosts has moved its folder away, and enrolls with a new key.
	again := w.host("web-01", w.token(true))
	w.pend(again)
	refused(t, w.Approve(t.Context(), "web-01", "alice", false), errs.Conflict, "--replace")
	if err := w.Approve(t.Context(), "web-01", "alice", true); err != nil {
		t.Fatal(err)
	}
	first := w.join(again)
	if err := w.canConnect(first); err != nil {
		t.Errorf("the one that enrolled again: %v", err)
	}
	if _, still := w.Suspended("web-01"); still {
		t.Error("the id is still suspended")
	}
	refused(t, both.Renew(t.Context()), errs.Gone, "belongs to another key")
	second := w.join(w.host("web-02", w.token(true)))
	if err := w.canConnect(second); err != nil {
		t.Errorf("the other one under an id of its own: %v", err)
	}
}

func TestStartFinishesASuspension(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join(w.host("web-01", w.token(true)))
	_, gone := w.connect(id)
	deps := w.dep
	deps.Issuer = deaf{w}
	if err := w.registrar(deps).Suspend(t.Context(), "web-01", flood(w, time.Hour), "m1"); err == nil {
		t.Fatal("a suspension that did not reach the bus was reported as done")
	}
	w.registrar(w.dep)
	out(t, gone)
}
