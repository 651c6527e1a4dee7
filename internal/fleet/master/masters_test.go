package master_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
)

// oneWins starts a slow job on the first of two masters, ends that one in some
// way, and expects the other one to finish the job within 20 seconds.
func oneWins(t *testing.T, end func(w *world, stop func(), cut func())) {
	t.Helper()
	w := newWorld(t)
	nc, sys := w.Connect(w.Bus.ServerUser), w.Connect(w.Bus.SystemUser)
	first, _ := w.masterOn("first", nc, sys)
	second, reg := w.master("second")
	slow, begun, open := gate("test.slow")
	w.peel(w.Enroll("web-1"), t.TempDir(), slow)
	w.peel(w.Enroll("web-2"), t.TempDir())
	fleettest.Eventually(t, "both connect", online(second, 2))
	fleettest.Eventually(t, "the first has its name", func() error {
		if w.heartbeat(t, "first") == "" {
			return errors.New("no heartbeat")
		}
		return nil
	})
	j, err := first.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.slow", Timeout: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	began := time.Now()
	end(w, func() { stop(t, first) }, func() { nc.Close(); sys.Close() })
	open()
	done, returns := follow(t, second, j.JID)
	took := time.Since(began)
	t.Logf("finished by the other one after %s", took)
	if done.Summary.Answered != 2 || len(returns) != 2 || !returns["web-1"].OK {
		t.Errorf("%+v, %v", done.Summary, returns)
	}
	if took > 20*time.Second {
		t.Errorf("that is too late")
	}
	if n := fleettest.Counter(t, reg, "rind_master_jobs_running", ""); n != 0 {
		t.Errorf("%v jobs run still", n)
	}
}

func TestJobOfAKilledMasterIsFinishedByAnother(t *testing.T) {
	t.Parallel()
	oneWins(t, func(_ *world, _, cut func()) { cut() })
}

func TestStoppedMasterHandsItsJobsOver(t *testing.T) {
	t.Parallel()
	oneWins(t, func(w *world, stop, _ func()) {
		stop()
		if beat := w.heartbeat(t, "first"); beat != "" {
			t.Errorf("a master that has ended seems to live: %s", beat)
		}
	})
}

// heartbeat is what stands in the bucket under a master's name.
func (w *world) heartbeat(t *testing.T, name string) string {
	t.Helper()
	kv, err := w.JS.KeyValue(t.Context(), "master-heartbeat")
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), name)
	if err != nil {
		return ""
	}
	return string(e.Value())
}

func TestTwoMastersOfOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, _ := w.master("same")
	fleettest.Eventually(t, "it has beaten twice", func() error {
		if beat := w.heartbeat(t, "same"); !strings.Contains(beat, `"beat":2`) {
			return fmt.Errorf("it says %s", beat)
		}
		return nil
	})
	second, _ := w.masterOn("same", w.Connect(w.Bus.ServerUser), w.Connect(w.Bus.SystemUser))
	select {
	case err := <-second.Died():
		for _, part := range []string{"master.name", `"same"`, "another master"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	case err := <-first.Died():
		t.Fatalf("the one that was there first gave up: %v", err)
	case <-time.After(60 * time.Second):
		t.Fatal("neither gave up")
	}
	stop(t, second)
	if w.heartbeat(t, "same") == "" {
		t.Error("the second took the first one's heartbeat with it")
	}
	if len(first.Died()) > 0 {
		t.Error("the first one gave up too")
	}
}

// TestBusThatTakesNothingKillsNobody: while no heartbeat is stored, as during
// an election, no master takes another one for dead.
func TestBusThatTakesNothingKillsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fleettest.Again(t))
	first, _ := w.masterOn("first", w.Connect(w.Bus.ServerUser), w.Connect(w.Bus.SystemUser))
	second, _ := w.master("second")
	slow, begun, open := gate("test.slow")
	w.peel(w.Enroll("web-1"), t.TempDir(), slow)
	fleettest.Eventually(t, "it connects", online(first, 1))
	fleettest.Eventually(t, "both beat", func() error {
		if w.heartbeat(t, "first") == "" || w.heartbeat(t, "second") == "" {
			return errors.New("no heartbeat")
		}
		return nil
	})
	j, err := first.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.slow", Timeout: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	stop(t, w.Bus)
	time.Sleep(12 * time.Second) // longer than a master may be silent
	if err := w.Bus.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	open()
	done, _ := follow(t, second, j.JID)
	if done.Summary.Answered != 1 {
		t.Errorf("%+v", done.Summary)
	}
	if rec := w.record(t, j.JID); !strings.Contains(rec, `"master":"first"`) {
		t.Errorf("another one took the job: %s", rec)
	}
}

// TestWatchOfAJobThatIsNotHeardOf: a master that is behind does not take a job
// that has just begun for one that is over.
func TestWatchOfAJobThatIsNotHeardOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, _ := w.master("first")
	second, _ := w.master("second")
	slow, begun, open := gate("test.slow")
	w.peel(w.Enroll("web-1"), t.TempDir(), slow)
	fleettest.Eventually(t, "it connects", online(first, 1))
	j, err := first.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.slow", Timeout: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	fleettest.Eventually(t, "the second hears of it", func() error {
		if list, err := second.Jobs(t.Context(), 1); err != nil || len(list) != 1 {
			return fmt.Errorf("%v, %w", list, err)
		}
		return nil
	})
	if err := master.Unhear(second, j.JID); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*time.Second, open) // after a few looks
	if done, returns := follow(t, second, j.JID); done.State != fleet.JobDone || done.Summary.Answered != 1 || len(returns) != 1 {
		t.Errorf("%s: %+v, %v", done.State, done.Summary, returns)
	}
}

// record is a job's record as its bucket has it.
func (w *world) record(t *testing.T, jid string) string {
	t.Helper()
	kv, err := w.JS.KeyValue(t.Context(), "jobs")
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), jid)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Value())
}
