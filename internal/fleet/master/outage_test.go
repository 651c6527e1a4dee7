package master_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
)

// TestBrokerIsAwayWhenAnAnswerIsReady stops the broker while a peel works. The
// answer waits in the peel and is counted when the broker is back.
func TestBrokerIsAwayWhenAnAnswerIsReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fleettest.Again(t))
	m, _ := w.master("one")
	slow, begun, open := gate("test.slow")
	p, reg := w.peel(w.Enroll("web"), t.TempDir(), slow)
	gone, _ := w.peel(w.Enroll("gone"), "")
	fleettest.Eventually(t, "both connect", online(m, 2))
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "web", Function: "test.slow", Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	stop(t, w.Bus)
	open()
	fleettest.Eventually(t, "the answer waits", func() error {
		if fleettest.Counter(t, reg, "rind_peel_returns_spooled", "") != 1 || p.Connected() {
			return errors.New("nothing is spooled, or the peel is connected")
		}
		return nil
	})
	stop(t, gone)
	if err := w.Bus.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	done, returns := follow(t, m, j.JID)
	if done.Summary.Answered != 1 || !returns["web"].OK {
		t.Errorf("%+v, %+v", done.Summary, returns)
	}
	fleettest.Eventually(t, "presence is right again", online(m, 1))
	if j, _ := finish(t, m, fleet.JobRequest{Target: "web", Function: "test.ping"}); j.Summary.Answered != 1 {
		t.Errorf("after the outage: %+v", j.Summary)
	}
}

// TestAnswersThatWereNotSeen stores a return that the master does not see live.
func TestAnswersThatWereNotSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, reg := w.master("one")
	w.Enroll("web")
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	key := "$KV." + bus.JobReturns + "." + bus.ReturnKey(j.JID, "web", 0)
	if _, err := w.JS.Publish(t.Context(), key, []byte(`{"ok":true,"value":1}`)); err != nil {
		t.Fatal(err)
	}
	done, returns := follow(t, m, j.JID)
	if done.Summary.Answered != 1 || string(returns["web"].Value) != "1" {
		t.Errorf("%+v, %+v", done.Summary, returns)
	}
	if n := fleettest.Counter(t, reg, "rind_master_returns_backfilled_total", ""); n != 1 {
		t.Errorf("%v backfilled", n)
	}
}

// TestJobsBucketIsGone deletes the bucket by hand: no job is sent unrecorded.
func TestJobsBucketIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	_, reg := w.peel(w.Enroll("web"), "")
	fleettest.Eventually(t, "it connects", online(m, 1))
	if err := w.JS.DeleteStream(t.Context(), "KV_"+bus.Jobs); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping"}); err == nil {
		t.Error("a job without a record was sent")
	} else {
		t.Log(err)
	}
	time.Sleep(200 * time.Millisecond)
	if n := fleettest.Counter(t, reg, "rind_peel_jobs_total", "test.ping"); n != 0 {
		t.Errorf("%v jobs ran", n)
	}
	if n := fleettest.Counter(t, reg, "rind_peel_jobs_refused_total", job.ReasonBusy); n != 0 {
		t.Errorf("%v refused", n)
	}
}
