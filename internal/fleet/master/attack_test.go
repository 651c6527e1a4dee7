package master_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// counting makes a function that counts how often it ran.
func counting(name string) (function.Function, *atomic.Int64) {
	ran := new(atomic.Int64)
	return function.Function{Name: name, Run: func(context.Context, function.Call) (function.Result, error) {
		return function.Result{Value: ran.Add(1)}, nil
	}}, ran
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed makes a message of a job for some peels.
func signed(t *testing.T, s *job.Signer, at time.Time, life time.Duration, n int, targets ...fleet.PeelID) []byte {
	t.Helper()
	batch, err := s.Sign(job.Body{JID: job.NewJID(), Function: "test.count", By: "mallory", Signed: at, Expires: at.Add(life), Limit: time.Minute}, targets)
	if err != nil {
		t.Fatal(err)
	}
	return batch.Message(n)
}

// TestOwningTheBrokerIsNotOwningTheFleet speaks as the server itself: it reads
// every subject and publishes to any. Whatever it says on a peel's job
// subjects, the peel runs what a master has signed for it, once, in its time.
func TestOwningTheBrokerIsNotOwningTheFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("m")
	count, ran := counting("test.count")
	_, reg := w.peel(w.Enroll("web"), t.TempDir(), count)
	other, _ := counting("test.count")
	w.peel(w.Enroll("db"), t.TempDir(), other)
	fleettest.Eventually(t, "both are there", online(m, 2))

	// What the attacker sees pass by: a job for web, one for both, one for db.
	seen := map[string]*nats.Msg{}
	tap, err := w.NC.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	capture := func(targets, subject string) {
		t.Helper()
		if j, _ := finish(t, m, fleet.JobRequest{Target: targets, Function: "test.count", Timeout: 20 * time.Second}); j.Summary.Failed+j.Summary.Missing > 0 {
			t.Fatalf("%s: %+v", targets, j.Summary)
		}
		for {
			msg, err := tap.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatalf("%s: nothing on %s: %v", targets, subject, err)
			}
			if msg.Subject == subject {
				seen[targets] = msg
				return
			}
		}
	}
	capture("web", bus.JobSubject("web"))
	capture("db", bus.JobSubject("db"))
	capture("*", bus.JobAll)
	before := ran.Load() // web's two
	if before != 2 {
		t.Fatalf("web ran %d jobs", before)
	}

	keys := w.Bus.FleetKeys()
	now := time.Now()
	mine, err := job.SelfDelegated(newKey(t), newKey(t), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	site := newKey(t)
	scoped, err := job.Delegate(keys.Root, job.Delegation{Key: []byte(site.Public().(ed25519.PublicKey)), Scope: "db*", NotAfter: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	siteSigner, err := job.NewSigner(site, scoped)
	if err != nil {
		t.Fatal(err)
	}
	genuine := seen["web"].Data
	attacks := []struct {
		name, reason string
		messages     [][]byte
	}{
		{"replayed", job.ReasonReplayed, [][]byte{genuine, seen["*"].Data}},
		{"for another peel", job.ReasonAddress, [][]byte{seen["db"].Data, signed(t, w.sign, now, time.Minute, 0, "db", "app")}},
		{"signed by a root of its own", job.ReasonSignature, [][]byte{signed(t, mine, now, time.Minute, 0, "web"), signed(t, mine, now, time.Minute, 0)}},
		{"changed", job.ReasonSignature, [][]byte{[]byte(strings.Replace(string(genuine), "test.count", "test.c0unt", 1))}},
		{"truncated", job.ReasonMalformed, [][]byte{genuine[:len(genuine)-1], genuine[:len(genuine)/2], genuine[:3], {}}},
		{"not a job", job.ReasonMalformed, [][]byte{[]byte(`{"function":"test.count"}`), make([]byte, 900_000)}},
		{"unsigned", job.ReasonUnsigned, [][]byte{bare()}},
		{"outside the key's scope", job.ReasonScope, [][]byte{signed(t, siteSigner, now, time.Minute, 0, "web"), signed(t, siteSigner, now, time.Minute, 0)}},
		{"held back until it expired", job.ReasonExpired, [][]byte{signed(t, w.sign, now.Add(-2*time.Minute), time.Minute, 0, "web")}},
		{"held back for hours", job.ReasonClock, [][]byte{signed(t, w.sign, now.Add(-3*time.Hour), 4*time.Hour, 0, "web")}},
	}
	for _, a := range attacks {
		for _, subject := range []string{bus.JobSubject("web"), bus.JobAll} {
			was := refusals(t, reg, a.reason)
			for n, data := range a.messages {
				if err := w.NC.PublishRequest(subject, bus.JobSubject("db"), data); err != nil {
					t.Fatal(err)
				}
				fleettest.Eventually(t, fmt.Sprintf("%s: message %d on %s is counted as %s", a.name, n, subject, a.reason), func() error {
					if got := refusals(t, reg, a.reason); got < was+float64(n+1) {
						return fmt.Errorf("%v refusals for %s, want %v", got, a.reason, was+float64(n+1))
					}
					return nil
				})
			}
		}
	}
	if got := ran.Load(); got != before {
		t.Errorf("%d jobs of the attacker ran", got-before)
	}
	// And what a master says is still done.
	if j, _ := finish(t, m, fleet.JobRequest{Target: "web", Function: "test.count", Timeout: 20 * time.Second}); j.Summary.Answered != 1 || ran.Load() != before+1 {
		t.Errorf("afterwards: %+v, %d runs", j.Summary, ran.Load()-before)
	}
}

// bare is a job message whose signatures are empty.
func bare() []byte {
	b := []byte("RJ\x00\x01")
	for _, part := range []string{`{"key":""}`, "", `{"function":"test.count"}`, ""} {
		b = append(append(b, byte(len(part))), part...)
	}
	return append(b, 0, 0)
}

func refusals(t *testing.T, reg *prometheus.Registry, reason string) float64 {
	t.Helper()
	return fleettest.Counter(t, reg, "rind_peel_jobs_refused_total", reason)
}

// A peel whose clock is an hour off refuses, by the time that the master
// signed, and says so: it counts as failed.
func TestAClockAnHourOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("m")
	ran := map[fleet.PeelID]*atomic.Int64{}
	regs := map[fleet.PeelID]*prometheus.Registry{}
	for id, off := range map[fleet.PeelID]time.Duration{"ahead": time.Hour, "behind": -time.Hour, "right": 0, "nearly": 4 * time.Minute} {
		count, n := counting("test.count")
		reg := prometheus.NewRegistry()
		p := peel.New(peel.Config{}, peel.Deps{Log: fleettest.Log(), Credentials: w.Enroll(id), Metrics: reg, Functions: append(function.All(), count),
			Now: func() time.Time { return time.Now().Add(off) }})
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, p) })
		ran[id], regs[id] = n, reg
	}
	fleettest.Eventually(t, "all are there", online(m, 4))
	for _, target := range []string{"*", "L@ahead,behind,nearly,right"} {
		j, returns := finish(t, m, fleet.JobRequest{Target: target, Function: "test.count", Timeout: 20 * time.Second})
		if j.Summary.Targeted != 4 || j.Summary.Answered != 4 || j.Summary.Failed != 2 || j.Summary.Missing != 0 {
			t.Errorf("%s: the summary is %+v, want 2 of 4 failed", target, j.Summary)
		}
		for _, id := range []fleet.PeelID{"ahead", "behind"} {
			r := returns[id]
			if r.OK || r.Reason != job.ReasonClock || !strings.Contains(r.Error, "1h0m") || !strings.Contains(r.Error, "set the clock") {
				t.Errorf("%s: %s returned %+v", target, id, r)
			}
		}
		for _, id := range []fleet.PeelID{"right", "nearly"} {
			if !returns[id].OK {
				t.Errorf("%s: %s returned %+v", target, id, returns[id])
			}
		}
	}
	for id, want := range map[fleet.PeelID]int64{"ahead": 0, "behind": 0, "right": 2, "nearly": 2} {
		if got := ran[id].Load(); got != want {
			t.Errorf("%s ran %d jobs, want %d", id, got, want)
		}
		// One that has just connected and asks what it missed may get a job again.
		if want == 0 && refusals(t, regs[id], job.ReasonClock) < 2 {
			t.Errorf("%s counted %v refusals", id, refusals(t, regs[id], job.ReasonClock))
		}
	}
}
