package natsd_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// A member of a queue group takes messages away from the others. A peel can
// join none but on its own subjects, where nobody else listens: not the
// masters', and not another peel's.
func TestAPeelJoinsNoQueueGroupOfOthers(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	b.ensured()
	const victim = fleet.PeelID("victim")
	var taken atomic.Int64
	master := b.master()
	for _, subject := range []string{bus.AllFacts, bus.AllReturns, bus.AllAsks, bus.AllHeartbeats, bus.AllEvents} {
		if _, err := master.QueueSubscribe(subject, "masters", func(*nats.Msg) { taken.Add(1) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := master.Flush(); err != nil {
		t.Fatal(err)
	}
	evil := b.peel("evil")
	seen := watchViolations(evil)
	denied := []string{bus.AllFacts, bus.AllReturns, bus.AllAsks, bus.AllHeartbeats, bus.AllEvents, bus.FactsSubject(victim), bus.JobSubject(victim),
		bus.NoticeSubject(victim), bus.InboxPrefix(victim) + ".>", "to.*.job", ">", "$JS.API.>", "$KV.>"}
	var stolen atomic.Int64
	for _, subject := range denied {
		for _, group := range []string{"masters", string(victim), "*"} {
			_, _ = evil.QueueSubscribe(subject, group, func(*nats.Msg) { stolen.Add(1) })
		}
	}
	if err := evil.Flush(); err != nil {
		t.Fatal(err)
	}
	peel := b.peel(victim)
	own, err := peel.SubscribeSync(bus.JobSubject(victim))
	if err != nil {
		t.Fatal(err)
	}
	if err := peel.Flush(); err != nil {
		t.Fatal(err)
	}
	const each = 50
	for n := range each {
		for _, subject := range []string{bus.FactsSubject(victim), bus.ReturnSubject("j1", victim, n), bus.AskSubject(victim, "basket.get"), bus.HeartbeatSubject(victim), bus.EventSubject(victim, "x")} {
			if err := peel.Publish(subject, fmt.Append(nil, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := master.Publish(bus.JobSubject(victim), nil); err != nil {
			t.Fatal(err)
		}
	}
	for range each {
		if _, err := own.NextMsg(10 * time.Second); err != nil {
			t.Fatalf("the victim misses a job: %v", err)
		}
	}
	for began := time.Now(); taken.Load() < 5*each; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("the masters have %d of %d messages", taken.Load(), 5*each)
		}
	}
	if n := stolen.Load(); n != 0 {
		t.Errorf("a peel took %d messages of others", n)
	}
	for _, subject := range denied {
		if !seen.has("subscription", subject) {
			t.Errorf("joining a queue group on %s was not refused", subject)
		}
	}
}
