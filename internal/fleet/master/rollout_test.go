package master_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/master"
)

// probe is a function that tells which hosts ran it, and how many at the same
// time; those that fail says fail.
type probe struct {
	fail func(id fleet.PeelID) bool
	hold time.Duration

	mu        sync.Mutex
	ran       map[fleet.PeelID]int
	now, most int
}

func (p *probe) function(name string) function.Function {
	return function.Function{Name: name, Run: func(ctx context.Context, c function.Call) (function.Result, error) {
		p.mu.Lock()
		p.ran[c.Host.ID()]++
		p.now++
		p.most = max(p.most, p.now)
		p.mu.Unlock()
		defer func() { p.mu.Lock(); p.now--; p.mu.Unlock() }()
		select {
		case <-time.After(p.hold):
		case <-ctx.Done():
			return function.Result{}, ctx.Err()
		}
		if p.fail != nil && p.fail(c.Host.ID()) {
			return function.Result{}, errors.New("this host is out of order")
		}
		return function.Result{Value: true}, nil
	}}
}

func (p *probe) count() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.ran) }

func newProbe() *probe { return &probe{ran: map[fleet.PeelID]int{}} }

func share(t *testing.T, s string) fleet.Share {
	t.Helper()
	v, err := fleet.ParseShare(s, true)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// hosts starts so many peels with the probe.
func hosts(w *world, m *master.Master, n int, p *probe) {
	w.t.Helper()
	for i := range n {
		w.peel(w.Enroll(fleet.PeelID(fmt.Sprintf("h%02d", i))), "", p.function("test.probe"))
	}
	fleettest.Eventually(w.t, "all connect", online(m, n))
}

func reach(m *master.Master, jid string, state fleet.JobState) func() error {
	return func() error {
		j, _, err := m.Job(context.Background(), jid)
		if err == nil && j.State != state {
			err = fmt.Errorf("it is %s (%s): %+v", j.State, j.Reason, j.Summary)
		}
		return err
	}
}

func TestBatchesAndWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	p.hold = 30 * time.Millisecond
	hosts(w, m, 12, p)
	for name, r := range map[string]fleet.Rollout{
		"a window of 3":  {Concurrency: share(t, "25%")},
		"batches of 3":   {Batch: share(t, "3")},
		"both":           {Batch: share(t, "50%"), Concurrency: share(t, "3")},
		"3 canaries":     {Canary: 3, Batch: share(t, "3")},
		"a window of 1":  {Concurrency: share(t, "1")},
		"slices, window": {Slices: 4, SlicePause: 10 * time.Millisecond, Concurrency: share(t, "3")},
	} {
		p.mu.Lock()
		p.ran, p.most = map[fleet.PeelID]int{}, 0
		p.mu.Unlock()
		j, returns := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 20 * time.Second, Rollout: r})
		if j.State != fleet.JobDone || j.Summary.Answered != 12 || j.Summary.Failed != 0 || len(returns) != 12 {
			t.Errorf("%s: %s %+v, %d returns", name, j.State, j.Summary, len(returns))
		}
		if p.count() != 12 || p.most > 3 {
			t.Errorf("%s: ran on %d hosts, on %d at the same time", name, p.count(), p.most)
		}
	}
}

func TestTooManyFailuresStopAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	p.fail = func(id fleet.PeelID) bool { return id < "h04" }
	hosts(w, m, 10, p)
	j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 20 * time.Second,
		Rollout: fleet.Rollout{Batch: share(t, "2"), MaxFailures: share(t, "20%")}})
	want := fleet.Summary{Targeted: 10, Answered: 4, Failed: 4, Missing: 6, Unsent: 6}
	got := j.Summary
	got.MissingPeels = nil
	if j.State != fleet.JobStopped || fmt.Sprint(got) != fmt.Sprint(want) || p.count() != 4 || !strings.Contains(j.Reason, "max_failures") {
		t.Errorf("%s (%s): %+v, ran on %d", j.State, j.Reason, j.Summary, p.count())
	}
	// The others and those that failed get it by a retry.
	p.mu.Lock()
	p.fail = nil
	p.mu.Unlock()
	again, err := m.Retry(t.Context(), j.JID, "ann")
	if err != nil {
		t.Fatal(err)
	}
	done, _ := follow(t, m, again.JID)
	if done.RetryOf != j.JID || done.Summary.Targeted != 10 || done.Summary.Failed != 0 || done.State != fleet.JobDone {
		t.Errorf("the retry: %+v", done)
	}
	if _, err := m.Retry(t.Context(), again.JID, "ann"); errs.KindOf(err) != errs.Conflict {
		t.Errorf("a retry of what succeeded: %v", err)
	}
}

func TestCanaryPausesAndResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	hosts(w, m, 6, p)
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 20 * time.Second, Rollout: fleet.Rollout{Canary: 2, Pause: true}})
	if err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it pauses", reach(m, j.JID, fleet.JobPaused))
	if p.count() != 2 {
		t.Errorf("the canary ran on %d hosts", p.count())
	}
	// Whoever watches goes when it is paused, and has seen what the canary said:
	// also at a master that does not collect it.
	other, _ := w.master("two")
	for name, m := range map[string]*master.Master{"here": m, "elsewhere": other} {
		if n := beforePause(t, m, j.JID); n != 2 {
			t.Errorf("%s: %d returns were shown before the pause", name, n)
		}
	}
	if _, err := m.Control(t.Context(), j.JID, master.Pause, "ann"); errs.KindOf(err) != errs.Conflict {
		t.Errorf("pausing what is paused: %v", err)
	}
	if got, err := m.Control(t.Context(), j.JID, master.Resume, "ann"); err != nil || got.State == fleet.JobPaused {
		t.Fatalf("resume: %+v %v", got, err)
	}
	done, returns := follow(t, m, j.JID)
	if done.State != fleet.JobDone || done.Summary.Answered != 6 || len(returns) != 6 || p.count() != 6 {
		t.Errorf("%s: %+v", done.State, done.Summary)
	}
	if _, err := m.Control(t.Context(), j.JID, master.Cancel, "ann"); errs.KindOf(err) != errs.Conflict {
		t.Errorf("cancelling what is done: %v", err)
	}
}

// beforePause counts the returns that are shown of a job until it is paused.
func beforePause(t *testing.T, m *master.Master, jid string) (returns int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events, err := m.Watch(ctx, jid)
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		switch {
		case e.Return != nil:
			returns++
		case e.Step != nil && e.Step.State == fleet.JobPaused:
			return returns
		}
	}
	t.Error("the pause was not shown")
	return returns
}

func TestSickCanaryPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	p.fail = func(fleet.PeelID) bool { return true }
	hosts(w, m, 5, p)
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 20 * time.Second, Rollout: fleet.Rollout{Canary: 1}})
	if err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it pauses", reach(m, j.JID, fleet.JobPaused))
	got, err := m.Control(t.Context(), j.JID, master.Cancel, "ann")
	if err != nil || got.State != fleet.JobCancelled || got.Summary.Unsent != 4 || p.count() != 1 || !strings.Contains(got.Reason, "by ann") {
		t.Errorf("%+v %v, ran on %d", got, err, p.count())
	}
}

// TestSickSlicePauses: each slice but the last has to be healthy before the next
// one gets the job, also after somebody went on once.
func TestSickSlicePauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	var sick atomic.Bool
	sick.Store(true)
	p.fail = func(fleet.PeelID) bool { return sick.Load() }
	hosts(w, m, 6, p)
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 20 * time.Second, Rollout: fleet.Rollout{Slices: 3}})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for wave := 1; wave <= 2; wave++ {
		fleettest.Eventually(t, fmt.Sprintf("slice %d pauses it", wave), func() error {
			j, _, err := m.Job(t.Context(), j.JID)
			if err == nil && (j.State != fleet.JobPaused || !strings.Contains(j.Reason, fmt.Sprintf("hosts in wave %d failed", wave))) {
				err = fmt.Errorf("it is %s: %s", j.State, j.Reason)
			}
			return err
		})
		if p.count() <= ran || p.count() == 6 {
			t.Errorf("it ran on %d hosts by slice %d", p.count(), wave)
		}
		ran = p.count()
		sick.Store(wave == 1)
		if _, err := m.Control(t.Context(), j.JID, master.Resume, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if done, returns := follow(t, m, j.JID); done.State != fleet.JobDone || len(returns) != 6 || done.Summary.Failed != ran {
		t.Errorf("%s: %+v", done.State, done.Summary)
	}
}

// TestCancelTellsHowFarItCame: three hosts have run it, two are at it, one has
// it waiting behind others, and the rest never get it.
func TestCancelTellsHowFarItCame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	ended := make(chan struct{}, 10)
	slow := function.Function{Name: "test.probe", Run: func(ctx context.Context, c function.Call) (function.Result, error) {
		if c.Host.ID() < "h03" {
			return function.Result{Value: 1}, nil
		}
		p.mu.Lock()
		p.ran[c.Host.ID()]++
		p.mu.Unlock()
		<-ctx.Done()
		ended <- struct{}{}
		return function.Result{}, ctx.Err()
	}}
	for i := range 8 {
		w.peel(w.Enroll(fleet.PeelID(fmt.Sprintf("h%02d", i))), "", slow)
	}
	fleettest.Eventually(t, "all connect", online(m, 8))
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: time.Minute, Rollout: fleet.Rollout{Batch: share(t, "5")}})
	if err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "two are at it", func() error {
		now, _, err := m.Job(t.Context(), j.JID)
		if err == nil && (p.count() != 2 || now.Summary.Answered != 3) {
			err = fmt.Errorf("%d run it, %+v", p.count(), now.Summary)
		}
		return err
	})
	got, err := m.Control(t.Context(), j.JID, master.Cancel, "ann")
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.Summary{Targeted: 8, Answered: 5, Failed: 2, Cancelled: 2, Missing: 3, Unsent: 3}
	sum := got.Summary
	sum.MissingPeels = nil
	if fmt.Sprint(sum) != fmt.Sprint(want) || !strings.Contains(got.Reason, "it had run on 3 hosts, was ended on 2, had not begun on 3") {
		t.Errorf("%+v: %s", got.Summary, got.Reason)
	}
	for range 2 {
		<-ended
	}
	_, returns, err := m.Job(t.Context(), j.JID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range returns {
		if r.Peel >= "h03" && (r.Reason != job.ReasonCancelled || r.Error != "the job was cancelled while it ran") {
			t.Errorf("%s: %+v", r.Peel, r)
		}
	}
}

// TestAwayPeelGetsTheJobWhenItComesBack: until it expires, and once.
func TestAwayPeelGetsTheJobWhenItComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, reg := w.master("one")
	p := newProbe()
	w.peel(w.Enroll("here"), "", p.function("test.probe"))
	away := w.Enroll("away")
	fleettest.Eventually(t, "one is there", online(m, 1))
	j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 300 * time.Millisecond, Expires: time.Now().Add(time.Hour)})
	short, _ := finish(t, m, fleet.JobRequest{Target: "away", Function: "test.probe", Timeout: 300 * time.Millisecond, Expires: time.Now().Add(time.Second)})
	if j.Summary.Missing != 1 || short.Summary.Missing != 1 {
		t.Fatalf("%+v %+v", j.Summary, short.Summary)
	}
	time.Sleep(time.Until(short.Expires) + 100*time.Millisecond)
	dir := t.TempDir()
	back, _ := w.peel(away, dir, p.function("test.probe"))
	answered := func() error {
		now, _, err := m.Job(t.Context(), j.JID)
		if err == nil && now.Summary.Answered != 2 {
			err = fmt.Errorf("%+v", now.Summary)
		}
		return err
	}
	fleettest.Eventually(t, "it answers", answered)
	stop(t, back)
	w.peel(away, dir, p.function("test.probe"))
	fleettest.Eventually(t, "it is back again", online(m, 2))
	if j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.ping"}); j.Summary.Answered != 2 {
		t.Errorf("a ping after all that: %+v", j.Summary)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ran["away"] != 1 || p.ran["here"] != 1 {
		t.Errorf("it ran %v times", p.ran)
	}
	if n := fleettest.Counter(t, reg, "rind_master_jobs_delivered_late_total", ""); n != 1 {
		t.Errorf("%v were delivered late, want 1", n)
	}
}

func TestScheduledJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	hosts(w, m, 2, p)
	start := time.Now().Add(1500 * time.Millisecond)
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Start: start, Timeout: 20 * time.Second})
	if err != nil || j.State != fleet.JobScheduled || j.Summary.Unsent != 2 {
		t.Fatalf("%+v %v", j, err)
	}
	done, returns := follow(t, m, j.JID)
	if done.Summary.Answered != 2 {
		t.Errorf("%+v", done.Summary)
	}
	for _, r := range returns {
		if r.Started.Before(start) {
			t.Errorf("%s began %s early", r.Peel, start.Sub(r.Started))
		}
	}
	later, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Start: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Control(t.Context(), later.JID, master.Cancel, "ann"); err != nil || got.State != fleet.JobCancelled || got.Summary.Unsent != 2 {
		t.Errorf("cancelling what is planned: %+v %v", got, err)
	}
	for name, req := range map[string]fleet.JobRequest{
		"began yesterday": {Start: time.Now().Add(-24 * time.Hour)}, "expires first": {Start: time.Now().Add(time.Hour), Expires: time.Now().Add(time.Minute)},
		"expired": {Expires: time.Now().Add(-time.Minute)}, "in a month": {Expires: time.Now().AddDate(0, 1, 0)}, "begins in a month": {Start: time.Now().AddDate(0, 1, 0)},
	} {
		req.Target, req.Function = "*", "test.probe"
		if _, err := m.Run(t.Context(), req); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlanSendsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	for i := range 10 {
		w.Enroll(fleet.PeelID(fmt.Sprintf("h%02d", i)))
	}
	plan, err := m.Plan(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Rollout: fleet.Rollout{Canary: 1, Batch: share(t, "50%"), MaxFailures: share(t, "0")}})
	if err != nil || plan.Targeted != 10 || len(plan.Waves) != 3 || plan.Waves[1].Hosts != 5 || len(plan.Waves[0].Peels) != 1 || plan.Failures != 0 {
		t.Errorf("%+v %v", plan, err)
	}
	if jobs, err := m.Jobs(t.Context(), 10); err != nil || len(jobs) != 0 {
		t.Errorf("%v %v", jobs, err)
	}
}

// TestSupersededMasterSendsNothingMore: a master that is taken for dead, and
// is not, learns with its next wave that another one has the job.
func TestSupersededMasterSendsNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, reg := w.master("one")
	p := newProbe()
	p.hold = 700 * time.Millisecond
	hosts(w, one, 8, p)
	two, _ := w.master("two")
	j, err := one.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 30 * time.Second, Rollout: fleet.Rollout{Batch: share(t, "1")}})
	if err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it is under way", func() error {
		if p.count() == 0 {
			return errors.New("nobody has it")
		}
		return nil
	})
	if err := master.TakeOver(t.Context(), two, j.JID); err != nil {
		t.Fatal(err)
	}
	done, returns := follow(t, two, j.JID)
	if done.State != fleet.JobDone || done.Summary.Answered != 8 || len(returns) != 8 {
		t.Errorf("%s %+v, %d returns", done.State, done.Summary, len(returns))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.ran {
		if n != 1 {
			t.Errorf("%s ran it %d times", id, n)
		}
	}
	if n := fleettest.Counter(t, reg, "rind_master_jobs_superseded_total", ""); n != 1 {
		t.Errorf("the first master was superseded %v times, want once", n)
	}
}

// TestAdoptedJobsGoOnWhereTheyWere: what is planned, and what waits for
// somebody, is taken over as it is.
func TestAdoptedJobsGoOnWhereTheyWere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, _ := w.master("one")
	p := newProbe()
	hosts(w, one, 4, p)
	planned, err := one.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Start: time.Now().Add(4 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	paused, err := one.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 20 * time.Second, Rollout: fleet.Rollout{Canary: 1, Pause: true}})
	if err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it pauses", reach(one, paused.JID, fleet.JobPaused))
	stop(t, one)
	two, _ := w.master("two")
	for _, jid := range []string{planned.JID, paused.JID} {
		if err := master.TakeOver(t.Context(), two, jid); err != nil {
			t.Fatal(err)
		}
	}
	done, returns := follow(t, two, planned.JID)
	if done.State != fleet.JobDone || len(returns) != 4 || returns["h00"].Started.Before(done.Start) {
		t.Errorf("what was planned: %+v", done)
	}
	if p.count() != 1 {
		t.Errorf("the canary ran on %d hosts", p.count())
	}
	if _, err := two.Control(t.Context(), paused.JID, master.Resume, "ann"); err != nil {
		t.Fatal(err)
	}
	done, returns = follow(t, two, paused.JID)
	if done.State != fleet.JobDone || len(returns) != 4 || done.Summary.Failed != 0 {
		t.Errorf("what was paused: %+v", done)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.ran {
		if n != 1 {
			t.Errorf("%s ran it %d times", id, n)
		}
	}
}

// TestCancelOfWhatIsOver: a job that is done and that a host may still get is
// taken from it.
func TestCancelOfWhatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	p := newProbe()
	away := w.Enroll("away")
	j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.probe", Timeout: 200 * time.Millisecond, Expires: time.Now().Add(time.Hour)})
	if j.State != fleet.JobDone || j.Summary.Missing != 1 {
		t.Fatalf("%+v", j)
	}
	if got, err := m.Control(t.Context(), j.JID, master.Cancel, "ann"); err != nil || got.State != fleet.JobCancelled {
		t.Fatalf("%+v %v", got, err)
	}
	w.peel(away, "", p.function("test.probe"))
	fleettest.Eventually(t, "it is there", online(m, 1))
	for range 3 {
		if j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.ping"}); j.Summary.Answered != 1 {
			t.Errorf("a ping: %+v", j.Summary)
		}
	}
	if p.count() != 0 {
		t.Error("it ran a job that was cancelled")
	}
}
