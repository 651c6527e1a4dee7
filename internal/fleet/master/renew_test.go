package master_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// TestPresenceDoesNotFlapWithRenewals: permissions that live three seconds,
// renewed again and again, and somebody who looks all the time.
func TestPresenceDoesNotFlapWithRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("m")
	c := w.Enroll("web")
	const life = 5 * time.Second
	if err := c.Live(life); err != nil {
		t.Fatal(err)
	}
	p := peel.New(peel.Config{}, peel.Deps{Log: fleettest.Log(), Credentials: eager{c, 500 * time.Millisecond}})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer stop(t, p)
	fleettest.Eventually(t, "it is there", online(m, 1))
	looks, away := 0, 0
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		got, err := m.Peel(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		looks++
		if got.Presence != fleet.Connected {
			away++
		}
		renewed := c.Renewed()
		if renewed >= 20 && time.Since(began) > 2*life {
			t.Logf("%d renewals, %d looks", renewed, looks)
			break
		}
		if time.Since(began) > 60*time.Second {
			t.Fatalf("only %d renewals", renewed)
		}
	}
	if away > 0 {
		t.Errorf("in %d of %d looks the peel was not connected", away, looks)
	}
}

// TestKeysAreRotatedUnderJobs rotates the key that signs permissions and the
// one that signs jobs while jobs run: no connection is closed, no job is lost.
func TestKeysAreRotatedUnderJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := w.Bus.FleetKeys()
	signer, err := job.NewCurrent(keys.Root, w.Bus.MasterKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _, _ := w.guardedBy(signer, master.Config{Name: "m"})
	regs := map[fleet.PeelID]*prometheus.Registry{}
	const peels = 12
	for n := range peels {
		id := fleet.PeelID(fmt.Sprintf("peel-%02d", n))
		_, regs[id] = w.peel(w.Enroll(id), "")
	}
	fleettest.Eventually(t, "all are there", online(m, peels))
	var lost atomic.Int64
	if _, err := w.sys.Subscribe("$SYS.ACCOUNT.*.DISCONNECT", func(msg *nats.Msg) {
		if strings.Contains(string(msg.Data), `"peel-`) {
			lost.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.sys.Flush(); err != nil {
		t.Fatal(err)
	}
	jobs := 0
	run := func() {
		t.Helper()
		for _, target := range []string{"*", "E@."} { // with one message for all, and one for each
			j, _ := finish(t, m, fleet.JobRequest{Target: target, Function: "test.ping", Timeout: 30 * time.Second})
			if j.Summary.Answered != peels || j.Summary.Failed != 0 {
				t.Fatalf("a job of %q: %+v", target, j.Summary)
			}
			jobs++
		}
	}
	run()
	before, err := w.Bus.MasterKey()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for range 3 {
			if _, err := w.Bus.RotateScoped(t.Context()); err != nil {
				done <- err
				return
			}
			if _, err := w.Bus.RotateMaster(t.Context()); err != nil {
				done <- err
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		done <- nil
	}()
	for rotating := true; rotating; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			rotating = false
		default:
			run()
		}
	}
	run()
	after, err := w.Bus.MasterKey()
	if err != nil || after.Equal(before) {
		t.Errorf("the key that signs jobs is the one from before (%v)", err)
	}
	if n := lost.Load(); n != 0 {
		t.Errorf("%d connections were closed", n)
	}
	for id, reg := range regs {
		for _, reason := range []string{job.ReasonSignature, job.ReasonDelegation, job.ReasonScope} {
			if n := refusals(t, reg, reason); n != 0 {
				t.Errorf("%s refused %v jobs for %s", id, n, reason)
			}
		}
	}
	t.Logf("%d jobs on %d peels", jobs, peels)
}
