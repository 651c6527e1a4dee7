package master_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
)

// TestReplyElsewhereIsNotServed lets a peel ask for the answer to what it says
// to be written where it may not write.
func TestReplyElsewhereIsNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, reg := w.master("one")
	evil := w.Peel("evil").NC
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := json.Marshal(fleet.Facts{ID: "evil"})
	if err != nil {
		t.Fatal(err)
	}
	replies := []string{"$KV.enrollments.web", "$KV.jobs." + job.NewJID(), bus.ReturnSubject(j.JID, "web", 0), bus.FactsSubject("web"),
		bus.InboxPrefix("web") + ".x", bus.InboxPrefix("evil") + "il.x", bus.InboxPrefix("evil")}
	for _, reply := range replies {
		sub, err := w.NC.SubscribeSync(reply)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if msg, err := sub.NextMsg(10 * time.Millisecond); err == nil {
				t.Errorf("%s was written: %s", msg.Subject, msg.Data)
			}
		})
	}
	for _, reply := range replies {
		for subject, data := range map[string][]byte{bus.FactsSubject("evil"): facts, bus.ReturnSubject(j.JID, "evil", 0): []byte(`{"ok":true}`)} {
			if err := evil.PublishRequest(subject, reply, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	fleettest.Eventually(t, "they are counted", func() error {
		if n := fleettest.Counter(t, reg, "rind_master_stray_messages_total", "reply"); n != float64(2*len(replies)) {
			return fmt.Errorf("%v of %d", n, 2*len(replies))
		}
		return nil
	})
	if done, _ := follow(t, m, j.JID); done.Summary.Answered != 0 {
		t.Errorf("an answer that is not stored was counted: %+v", done.Summary)
	}
	if p, err := m.Peel(t.Context(), "evil"); err != nil || p.Facts != nil {
		t.Errorf("facts were kept: %+v, %v", p.Facts, err)
	}
}

func TestIntake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	web := w.Peel("web").NC
	tell := func(subject string, data string) error {
		t.Helper()
		return fleettest.Tell(t.Context(), web, subject, []byte(data), 5*time.Second)
	}
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	good := bus.ReturnSubject(j.JID, "web", 0)
	for what, c := range map[string]struct{ subject, data string }{
		"facts of another":  {bus.FactsSubject("web"), `{"id":"db"}`},
		"facts of nobody":   {bus.FactsSubject("web"), `{}`},
		"no facts":          {bus.FactsSubject("web"), `{`},
		"an unknown job":    {bus.ReturnSubject(job.NewJID(), "web", 0), `{"ok":true}`},
		"a broken return":   {good, `[`},
		"an impossible one": {bus.ReturnSubject(j.JID, "web", 3), `{"ok":true}`},
	} {
		if err := tell(c.subject, c.data); !errors.Is(err, bus.ErrRefused) {
			t.Errorf("%s: %v, want a refusal", what, err)
		}
	}
	if err := tell(bus.FactsSubject("web"), `{"id":"web","os":"Debian"}`); err != nil {
		t.Errorf("facts: %v", err)
	}
	// A return is written once: what comes later is taken for a repetition.
	for _, value := range []string{`"first"`, `"second"`} {
		if err := tell(good, `{"ok":true,"value":`+value+`}`); err != nil {
			t.Errorf("a return: %v", err)
		}
	}
	follow(t, m, j.JID)
	_, returns, err := m.Job(t.Context(), j.JID)
	if err != nil || len(returns) != 1 || string(returns[0].Value) != `"first"` {
		t.Errorf("the job has %+v, %v", returns, err)
	}
	p, err := m.Peel(t.Context(), "web")
	if err != nil || p.Facts == nil || p.Facts.OS != "Debian" {
		t.Errorf("the facts are %+v, %v", p.Facts, err)
	}
}
