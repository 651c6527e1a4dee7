package master_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
)

// gate is a function that begins and then waits to be let go.
func gate(name string) (f function.Function, begun chan struct{}, open func()) {
	begun, wait := make(chan struct{}, 100), make(chan struct{})
	return function.Function{Name: name, ReadOnly: true, Run: func(ctx context.Context, _ function.Call) (function.Result, error) {
		begun <- struct{}{}
		select {
		case <-wait:
			return function.Result{Value: "through"}, nil
		case <-ctx.Done():
			return function.Result{}, context.Cause(ctx)
		}
	}}, begun, func() { close(wait) }
}

func TestPeelIsKilledInTheMiddleOfAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	c, dir := w.Enroll("web"), t.TempDir()
	slow, begun, open := gate("test.slow")
	w.peel(c, dir, slow)
	w.peel(w.Enroll("db"), "", function.Function{Name: "test.slow", ReadOnly: true,
		Run: func(context.Context, function.Call) (function.Result, error) { return function.Result{Value: 1}, nil }})
	fleettest.Eventually(t, "both connect", online(m, 2))
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.slow", Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	// What a killed process leaves is the state folder as it is now; the old
	// process goes on beside it, but with its connection cut it can say nothing.
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	w.peel(c, copied, slow)
	done, returns := follow(t, m, j.JID)
	if r := returns["web"]; r.OK || r.Reason != job.ReasonInterrupted {
		t.Errorf("the interrupted peel returned %+v", r)
	}
	want := fleet.Summary{Targeted: 2, Answered: 2, Failed: 1}
	if diff := cmp.Diff(want, done.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	open()
}

func TestPeelIsStoppedInTheMiddleOfAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	c, dir := w.Enroll("web"), t.TempDir()
	slow, begun, _ := gate("test.slow")
	p, _ := w.peel(c, dir, slow)
	fleettest.Eventually(t, "it connects", online(m, 1))
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "web", Function: "test.slow", Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	stop(t, p)
	w.peel(c, dir, slow)
	done, returns := follow(t, m, j.JID)
	if r := returns["web"]; r.OK || !strings.Contains(r.Error, "stopping") || done.Summary.Missing != 0 {
		t.Errorf("%+v, returned %+v", done.Summary, r)
	}
	if left, err := os.ReadDir(dir + "/returns"); err != nil || len(left) != 0 {
		fleettest.Eventually(t, "the spool empties", func() error {
			if left, err := os.ReadDir(dir + "/returns"); err != nil || len(left) != 0 {
				return fmt.Errorf("%d files are left, %w", len(left), err)
			}
			return nil
		})
	}
}

func TestMasterIsReplacedInTheMiddleOfAJob(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"one", "two"} {
		t.Run("by "+next, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m, _ := w.master("one")
			slow, begun, open := gate("test.slow")
			quick := slow
			quick.Run = func(context.Context, function.Call) (function.Result, error) { return function.Result{Value: 1}, nil }
			w.peel(w.Enroll("web"), "", slow)
			w.peel(w.Enroll("db"), "", quick)
			w.peel(w.Enroll("app"), "", slow)
			w.Enroll("away")
			fleettest.Eventually(t, "all connect", online(m, 3))
			j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.slow", Timeout: 8 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			<-begun
			<-begun
			stop(t, m)
			open() // these answers come while no master is there
			time.Sleep(500 * time.Millisecond)
			if next != "one" { // the first one's heartbeat would live for 15 s
				if err := bus.Purge(t.Context(), w.JS, bus.MasterHeartbeat, "one"); err != nil {
					t.Fatal(err)
				}
			}
			m2, _ := w.master(next)
			fleettest.Eventually(t, "the job ends", func() error {
				got, _, err := m2.Job(t.Context(), j.JID)
				if err == nil && got.State != fleet.JobDone {
					err = fmt.Errorf("it is %s", got.State)
				}
				return err
			})
			done, returns := follow(t, m2, j.JID)
			want := fleet.Summary{Targeted: 4, Answered: 3, Missing: 1, MissingPeels: []fleet.PeelID{"away"}}
			if diff := cmp.Diff(want, done.Summary); diff != "" || len(returns) != 3 {
				t.Errorf("%d returns, summary (-want +got):\n%s", len(returns), diff)
			}
		})
	}
}

func TestLateAnswersAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	slow, begun, open := gate("test.slow")
	w.peel(w.Enroll("web"), "", slow)
	fleettest.Eventually(t, "it connects", online(m, 1))
	done, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.slow", Timeout: 300 * time.Millisecond})
	if diff := cmp.Diff(fleet.Summary{Targeted: 1, Missing: 1, MissingPeels: []fleet.PeelID{"web"}}, done.Summary); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	<-begun
	open()
	want := fleet.Summary{Targeted: 1, Answered: 1}
	fleettest.Eventually(t, "the late answer is counted", func() error {
		j, returns, err := m.Job(t.Context(), done.JID)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, j.Summary); diff != "" || len(returns) != 1 {
			return fmt.Errorf("%d returns, %s", len(returns), diff)
		}
		return nil
	})
	fleettest.Eventually(t, "the record is written again", func() error {
		jobs, err := m.Jobs(t.Context(), 1)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, jobs[0].Summary); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

func TestMessagesThatNoMasterSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, mreg := w.master("one")
	_, reg := w.peel(w.Enroll("web"), "")
	fleettest.Eventually(t, "it connects", online(m, 1))
	now := time.Now()
	body := job.Body{JID: job.NewJID(), Function: "cmd.run", Args: []string{"touch " + t.TempDir() + "/ran"}, Signed: now, Expires: now.Add(time.Minute), Limit: time.Minute}
	batch, err := w.sign.Sign(body, []fleet.PeelID{"db"})
	if err != nil {
		t.Fatal(err)
	}
	good := batch.Message(0)
	sub, err := w.NC.SubscribeSync(bus.AllReturns)
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range [][]byte{good, good[:len(good)/2], []byte("cmd.run reboot"), nil} {
		if err := w.NC.Publish(bus.JobSubject("web"), msg); err != nil {
			t.Fatal(err)
		}
	}
	fleettest.Eventually(t, "they are counted", func() error {
		a, b := fleettest.Counter(t, reg, "rind_peel_jobs_refused_total", job.ReasonAddress), fleettest.Counter(t, reg, "rind_peel_jobs_refused_total", job.ReasonMalformed)
		if a != 1 || b != 3 {
			return fmt.Errorf("%v for others, %v malformed", a, b)
		}
		return nil
	})
	if msg, err := sub.NextMsg(200 * time.Millisecond); err == nil {
		t.Errorf("a refusal was answered on %s", msg.Subject)
	}
	// Returns for a job that was never sent, and some that cannot be read.
	for subject, data := range map[string]string{
		bus.ReturnSubject(job.NewJID(), "web", 0): `{"ok":true}`, "from.web.ret.x": "", "from.web.ret.a.b.c": "{", "from.web.ret..0": "{}", "from.web.ret.j.-1": "{}",
	} {
		if err := w.NC.PublishRequest(subject, bus.InboxPrefix("web")+".x", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	fleettest.Eventually(t, "stray returns are counted", func() error {
		if n := fleettest.Counter(t, mreg, "rind_master_stray_messages_total", "unknown_job"); n != 1 {
			return fmt.Errorf("%v for an unknown job", n)
		}
		if n := fleettest.Counter(t, mreg, "rind_master_stray_messages_total", "malformed"); n < 2 {
			return fmt.Errorf("%v malformed", n)
		}
		return nil
	})
	if j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.ping"}); j.Summary.Answered != 1 {
		t.Errorf("after all that: %+v", j.Summary)
	}
}

func TestAReturnIsWhoseSubjectItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, reg := w.master("one")
	w.Enroll("web")
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	forged := fmt.Appendf(nil, `{"jid":%q,"peel":"web","ok":true}`, j.JID)
	for _, id := range []fleet.PeelID{"db", "web", "web"} {
		if err := w.NC.PublishRequest(bus.ReturnSubject(j.JID, id, 0), bus.InboxPrefix(id)+".x", forged); err != nil {
			t.Fatal(err)
		}
	}
	done, returns := follow(t, m, j.JID)
	if done.Summary.Answered != 1 || len(returns) != 1 || returns["web"].Peel != "web" {
		t.Errorf("%+v, %v", done.Summary, returns)
	}
	for _, reason := range []string{"untargeted", "duplicate"} {
		if n := fleettest.Counter(t, reg, "rind_master_stray_messages_total", reason); n != 1 {
			t.Errorf("%v %s, want 1", n, reason)
		}
	}
}

func TestPresence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, _ := w.peel(w.Enroll("early"), "")
	m, _ := w.master("one") // finds early in the servers' list
	fleettest.Eventually(t, "one that was there before", online(m, 1))
	p, _ := w.peel(w.Enroll("web"), "")
	w.Enroll("never")
	fleettest.Eventually(t, "one that comes", online(m, 2))
	stop(t, p)
	fleettest.Eventually(t, "one that goes", online(m, 1))
	got, err := m.Peel(t.Context(), "web")
	if err != nil || got.Presence != fleet.Away || time.Since(got.Since) > 20*time.Second || got.Address != "127.0.0.1" {
		t.Errorf("the one that went: %+v, %v", got, err)
	}
	if got, err := m.Peel(t.Context(), "never"); err != nil || got.Presence != fleet.Never {
		t.Errorf("the one that never came: %+v, %v", got, err)
	}
	stop(t, before)
	fleettest.Eventually(t, "nobody", online(m, 0))
}

func TestRenewalDoesNotFlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	c := w.Enroll("web")
	c.RenewIn(500 * time.Millisecond)
	w.peel(c, "")
	fleettest.Eventually(t, "it connects", online(m, 1))
	before, err := m.Peel(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		now, err := m.Peel(t.Context(), "web")
		if err != nil || now.Presence != fleet.Connected || !now.Since.Equal(before.Since) {
			t.Fatalf("while it renewed: %+v, %v", now, err)
		}
	}
	renewed := c.Renewed()
	if renewed != 1 {
		t.Errorf("renewed %d times, want once", renewed)
	}
	if j, _ := finish(t, m, fleet.JobRequest{Target: "*", Function: "test.ping"}); j.Summary.Answered != 1 {
		t.Errorf("after the renewal: %+v", j.Summary)
	}
}

// A peel whose workers all have something long to do still answers what changes
// nothing.
func TestReadOnlyFunctionsDoNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	slow, started, open := gate("test.slow")
	slow.ReadOnly = false
	w.peel(w.Enroll("web"), "", slow)
	fleettest.Eventually(t, "it connects", online(m, 1))
	const workers = 4
	var long []string
	for range workers + 1 {
		j, err := m.Run(t.Context(), fleet.JobRequest{Target: "web", Function: "test.slow", Timeout: 60 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		long = append(long, j.JID)
	}
	<-started
	for range 3 {
		if j, _ := finish(t, m, fleet.JobRequest{Target: "web", Function: "test.ping", Timeout: 30 * time.Second}); j.Summary.Answered != 1 || j.Summary.Failed != 0 {
			t.Errorf("a ping meanwhile: %+v", j.Summary)
		}
	}
	for _, jid := range long {
		if j, _, err := m.Job(t.Context(), jid); err != nil || j.Summary.Answered != 0 {
			t.Errorf("a long one is over already: %+v %v", j.Summary, err)
		}
	}
	open()
	for _, jid := range long {
		if j, _ := follow(t, m, jid); j.Summary.Answered != 1 || j.Summary.Failed != 0 {
			t.Errorf("a long one: %+v", j.Summary)
		}
	}
}

func TestBusyPeelSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	slow, _, open := gate("test.slow")
	w.peel(w.Enroll("web"), "", slow)
	fleettest.Eventually(t, "it connects", online(m, 1))
	const workers, waiting = 8, 64
	for range workers + waiting + 1 {
		if _, err := m.Run(t.Context(), fleet.JobRequest{Target: "web", Function: "test.slow", Timeout: 60 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	// One is too many, and more are when the workers are slow to take the first.
	fleettest.Eventually(t, "the peel says that it is busy", func() error {
		jobs, err := m.Jobs(t.Context(), 100)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if j.Summary.Answered == 0 {
				continue
			}
			_, returns, err := m.Job(t.Context(), j.JID)
			if err == nil && (len(returns) != 1 || returns[0].Reason != job.ReasonBusy) {
				t.Errorf("one that cannot have run returned %+v", returns)
			}
			return err
		}
		return errors.New("it has answered nothing")
	})
	open()
	fleettest.Eventually(t, "the others are answered", func() error {
		jobs, err := m.Jobs(t.Context(), 100)
		answered, refused := 0, 0
		for _, j := range jobs {
			answered += j.Summary.Answered
			refused += j.Summary.Failed
		}
		if err == nil && (answered != workers+waiting+1 || refused == 0 || refused > workers+1) {
			err = fmt.Errorf("%d answered, of which %d were refused", answered, refused)
		}
		return err
	})
}
