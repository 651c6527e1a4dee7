package peeltest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// Run runs the suite through a kind of sockets; nil is the client library's.
func Run(t *testing.T, dial peel.Dialer) {
	for name, test := range map[string]func(*testing.T, *world){
		"says that it lives and what it is": testSpeaks,
		"runs what is signed for it":        testRuns,
		"refuses what is not":               testRefuses,
		"returns until acknowledged":        testRetries,
		"returns when asked again":          testAskedAgain,
		"gives up what is refused":          testGivesUp,
		"renews without a gap":              testRenews,
		"is out when revoked":               testRevoked,
		"comes back after a restart":        testReconnects,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, dial))
		})
	}
}

func body(fn string) job.Body {
	now := time.Now().UTC()
	return job.Body{JID: job.NewJID(), Function: fn, By: "suite", Signed: now, Expires: now.Add(time.Minute), Limit: time.Minute}
}

// message signs a job for all, or for targets, of which it takes the nth.
func message(t *testing.T, s *job.Signer, b job.Body, n int, targets ...fleet.PeelID) []byte {
	t.Helper()
	batch, err := s.Sign(b, targets)
	if err != nil {
		t.Fatal(err)
	}
	return batch.Message(n)
}

// send publishes as a master does.
func (w *world) send(subject string, msg []byte) {
	w.t.Helper()
	nc := w.Connect(w.Bus.ServerUser)
	if err := nc.Publish(subject, msg); err != nil {
		w.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

// returned waits until a job has come back so often.
func (w *world) returned(jid string, times int) []fleet.Return {
	w.t.Helper()
	fleettest.Eventually(w.t, "the return comes", func() error {
		if n := len(w.heard.of(jid)); n < times {
			return fmt.Errorf("it came %d times of %d", n, times)
		}
		return nil
	})
	return w.heard.of(jid)
}

func testSpeaks(t *testing.T, w *world) {
	_, reg := w.peel(w.Enroll(subject), "")
	fleettest.Eventually(t, "heartbeat and facts", func() error {
		w.heard.mu.Lock()
		defer w.heard.mu.Unlock()
		if len(w.heard.beats) == 0 || w.heard.beats[0] != `from.suite-1.hb {"v":"suite"}` {
			return fmt.Errorf("heartbeats %q", w.heard.beats)
		}
		if len(w.heard.facts) != 1 || !strings.HasPrefix(w.heard.facts[0], `from.suite-1.facts {"id":"suite-1","hostname":"suite"`) {
			return fmt.Errorf("facts %q", w.heard.facts)
		}
		if n := count(t, reg, "facts_published_total", ""); n != 1 {
			return fmt.Errorf("%v acknowledged", n)
		}
		if len(w.heard.asks) != 1 || w.heard.asks[0] != bus.AskSubject("suite-1", bus.CatchUpAsk) {
			return fmt.Errorf("questions %q, want one for what was missed", w.heard.asks)
		}
		return nil
	})
	if n := count(t, reg, "connected", ""); n != 1 {
		t.Errorf("connected is %v", n)
	}
}

func testRuns(t *testing.T, w *world) {
	_, reg := w.peel(w.Enroll(subject), "")
	all, mine := body("test.ping"), body("test.echo")
	mine.Args = []string{"good morning"}
	w.send(bus.JobAll, message(t, w.sign, all, 0))
	w.send(bus.JobSubject("suite-1"), message(t, w.sign, mine, 1, "other", "suite-1", "third"))
	for jid, want := range map[string]string{all.JID: `true`, mine.JID: `"good morning"`} {
		if r := w.returned(jid, 1)[0]; !r.OK || string(r.Value) != want || r.Peel != "suite-1" {
			t.Errorf("returned %+v, want %s", r, want)
		}
	}
	fleettest.Eventually(t, "both are acknowledged", func() error {
		if n, left := count(t, reg, "returns_total", ""), count(t, reg, "returns_spooled", ""); n != 2 || left != 0 {
			return fmt.Errorf("%v, and %v are spooled", n, left)
		}
		return nil
	})
	if len(w.heard.bad) > 0 {
		t.Errorf("returns that no master would take: %q", w.heard.bad)
	}
}

func testRefuses(t *testing.T, w *world) {
	_, reg := w.peel(w.Enroll(subject), "")
	_, evil, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := w.Bus.FleetKeys()
	forged, err := job.SelfDelegated(evil, keys.Master, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	d, err := job.Delegate(keys.Root, job.Delegation{Key: keys.Master.Public().(ed25519.PublicKey), Scope: "db-*", NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	scoped, err := job.NewSigner(keys.Master, d)
	if err != nil {
		t.Fatal(err)
	}
	off := func(d, life time.Duration) job.Body {
		b := body("test.ping")
		b.Signed = b.Signed.Add(d)
		b.Expires = b.Signed.Add(life)
		return b
	}
	good := body("test.ping")
	seen := message(t, w.sign, good, 0)
	w.send(bus.JobAll, seen)
	w.returned(good.JID, 1)
	cut := message(t, w.sign, body("test.ping"), 0)
	for _, c := range []struct {
		reason   string
		msg      []byte
		answered string // the job's id, when the master is told
	}{
		{job.ReasonReplayed, seen, ""},
		{job.ReasonSignature, message(t, forged, body("test.ping"), 0), ""},
		{job.ReasonAddress, message(t, w.sign, body("test.ping"), 0, "other"), ""},
		{job.ReasonMalformed, cut[:len(cut)-5], ""},
		told(job.ReasonExpired, off(-2*time.Minute, time.Minute), w.sign, t),
		told(job.ReasonClock, off(-time.Hour, 3*time.Hour), w.sign, t),
		told(job.ReasonScope, body("test.ping"), scoped, t),
	} {
		before := count(t, reg, "jobs_refused_total", c.reason)
		w.send(bus.JobSubject("suite-1"), c.msg)
		fleettest.Eventually(t, c.reason+" is counted", func() error {
			if n := count(t, reg, "jobs_refused_total", c.reason); n != before+1 {
				return fmt.Errorf("%v, was %v", n, before)
			}
			return nil
		})
		if c.answered != "" {
			if r := w.returned(c.answered, 1)[0]; r.OK || r.Reason != c.reason {
				t.Errorf("%s: the master was told %+v", c.reason, r)
			}
		}
	}
	if n := count(t, reg, "jobs_total", "test.ping"); n != 1 {
		t.Errorf("%v jobs ran, want the one that was signed for this peel", n)
	}
}

type refusal = struct {
	reason   string
	msg      []byte
	answered string
}

func told(reason string, b job.Body, s *job.Signer, t *testing.T) refusal {
	return refusal{reason, message(t, s, b, 0), b.JID}
}

func testRetries(t *testing.T, w *world) {
	_, reg := w.peel(w.Enroll(subject), t.TempDir())
	w.heard.answers(func(m *nats.Msg, nth int) {
		switch nth {
		case 1:
			bus.Retry(m, "the disk is slow")
		case 2: // silence
		default:
			bus.Accept(m)
		}
	})
	b := body("test.ping")
	w.send(bus.JobAll, message(t, w.sign, b, 0))
	for n, r := range w.returned(b.JID, 3) {
		if !r.OK || string(r.Value) != "true" {
			t.Errorf("try %d returned %+v", n+1, r)
		}
	}
	fleettest.Eventually(t, "it is acknowledged", func() error {
		if n, left := count(t, reg, "returns_total", ""), count(t, reg, "returns_spooled", ""); n != 1 || left != 0 {
			return fmt.Errorf("%v, and %v are spooled", n, left)
		}
		return nil
	})
	if n := count(t, reg, "publish_retries_total", ""); n < 2 {
		t.Errorf("%v retries are counted", n)
	}
	if n := count(t, reg, "jobs_total", "test.ping"); n != 1 {
		t.Errorf("the job ran %v times", n)
	}
}

// A master that takes up a job sends it to whoever has not answered: a return
// that waits for its acknowledgement comes at once then, however patient the
// peel was told to be.
func testAskedAgain(t *testing.T, w *world) {
	_, reg := w.peel(w.Enroll(subject), t.TempDir())
	w.heard.answers(func(m *nats.Msg, nth int) {
		if nth > 1 {
			bus.Accept(m)
		}
	})
	b := body("test.ping")
	b.Patience = 40 * time.Second
	msg := message(t, w.sign, b, 0)
	w.send(bus.JobAll, msg)
	w.returned(b.JID, 1)
	w.send(bus.JobSubject("suite-1"), msg)
	for _, r := range w.returned(b.JID, 2) {
		if !r.OK || string(r.Value) != "true" {
			t.Errorf("returned %+v", r)
		}
	}
	fleettest.Eventually(t, "it is acknowledged", func() error {
		if n := count(t, reg, "returns_total", ""); n != 1 {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	if n := count(t, reg, "jobs_total", "test.ping"); n != 1 {
		t.Errorf("the job ran %v times", n)
	}
}

func testGivesUp(t *testing.T, w *world) {
	_, reg := w.peel(w.Enroll(subject), "")
	w.heard.answers(func(m *nats.Msg, _ int) { bus.Refuse(m, "no such job") })
	b := body("test.ping")
	w.send(bus.JobAll, message(t, w.sign, b, 0))
	fleettest.Eventually(t, "it is given up", func() error {
		if n, left := count(t, reg, "returns_lost_total", ""), count(t, reg, "returns_spooled", ""); n != 1 || left != 0 {
			return fmt.Errorf("%v are lost, and %v are spooled", n, left)
		}
		return nil
	})
	if n := len(w.heard.of(b.JID)); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

func testRenews(t *testing.T, w *world) {
	c := w.Enroll(subject)
	c.RenewIn(time.Second)
	p, reg := w.peel(c, "")
	stop := make(chan struct{})
	flaps := make(chan int, 1)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				flaps <- n
				return
			case <-time.After(time.Millisecond):
				if !p.Connected() {
					n++
				}
			}
		}
	}()
	fleettest.Eventually(t, "the new connection takes over", func() error {
		if conns := w.heard.connections(); len(conns) != 3 {
			return fmt.Errorf("connections %v", conns)
		}
		return nil
	})
	close(stop)
	if n := <-flaps; n > 0 {
		t.Errorf("it was away at %d looks", n)
	}
	if conns := w.heard.connections(); conns[1][0] != '+' || conns[2] != "-"+conns[0][1:] {
		t.Errorf("connections %v, want two, then the end of the first", conns)
	}
	if n := count(t, reg, "renewals_total", "ok"); n != 1 || count(t, reg, "connected", "") != 1 {
		t.Errorf("%v renewals are counted", n)
	}
	b := body("test.ping")
	w.send(bus.JobAll, message(t, w.sign, b, 0))
	if rs := w.returned(b.JID, 1); len(rs) != 1 || !rs[0].OK {
		t.Errorf("after the renewal: %+v", rs)
	}
}

func testRevoked(t *testing.T, w *world) {
	c := w.Enroll(subject)
	p, reg := w.peel(c, "")
	if err := w.Bus.Revoke(t.Context(), c.Public()); err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it is out", func() error {
		if p.Connected() || count(t, reg, "connected", "") != 0 {
			return errors.New("it is connected")
		}
		return nil
	})
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if p.Connected() {
			t.Fatal("it came back with a revoked key")
		}
	}
	if err := w.Bus.Unrevoke(t.Context(), c.Public()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // permissions carry whole seconds
	if err := c.Issue(); err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "it comes back when it may", func() error {
		if !p.Connected() || count(t, reg, "connected", "") != 1 {
			return errors.New("it is not connected")
		}
		return nil
	})
}

func testReconnects(t *testing.T, w *world) {
	began, end := make(chan struct{}, 1), make(chan struct{})
	p, reg := w.peel(w.Enroll(subject), t.TempDir(), function.Function{Name: "suite.wait",
		Run: func(ctx context.Context, _ function.Call) (function.Result, error) {
			began <- struct{}{}
			select {
			case <-end:
			case <-ctx.Done():
			}
			return function.Result{Value: "waited"}, nil
		}})
	before := body("suite.wait")
	w.send(bus.JobAll, message(t, w.sign, before, 0))
	select {
	case <-began:
	case <-time.After(30 * time.Second):
		t.Fatal("the job did not begin")
	}
	w.asked(1)
	w.stop()
	fleettest.Eventually(t, "it notices", func() error {
		if p.Connected() || count(t, reg, "connected", "") != 0 {
			return errors.New("it is connected")
		}
		return nil
	})
	close(end)
	w.start()
	fleettest.Eventually(t, "it comes back", func() error {
		if !p.Connected() || count(t, reg, "connected", "") != 1 {
			return errors.New("it is not connected")
		}
		return nil
	})
	w.asked(2)
	if r := w.returned(before.JID, 1)[0]; !r.OK || string(r.Value) != `"waited"` {
		t.Errorf("what ran meanwhile returned %+v", r)
	}
	after := body("test.ping")
	w.send(bus.JobAll, message(t, w.sign, after, 0))
	if r := w.returned(after.JID, 1)[0]; !r.OK {
		t.Errorf("after the restart: %+v", r)
	}
}

// asked waits until the peel has asked so often for what it missed.
func (w *world) asked(times int) {
	w.t.Helper()
	fleettest.Eventually(w.t, "it asks for what it missed", func() error {
		w.heard.mu.Lock()
		defer w.heard.mu.Unlock()
		if len(w.heard.asks) < times {
			return fmt.Errorf("questions %q, want %d", w.heard.asks, times)
		}
		return nil
	})
}
