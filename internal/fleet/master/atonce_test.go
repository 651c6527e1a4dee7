package master_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
)

// fleetOf enrolls peels that are not there, and speaks for them as the server
// may. It counts the answers by their first word.
func (w *world) fleetOf(n int) (ids []fleet.PeelID, say func(id fleet.PeelID, subject string, data []byte), accepted, other *atomic.Int64) {
	w.t.Helper()
	for i := range n {
		id := fleet.PeelID(fmt.Sprintf("host-%03d", i))
		w.Enroll(id)
		ids = append(ids, id)
	}
	accepted, other = &atomic.Int64{}, &atomic.Int64{}
	for _, id := range ids {
		if _, err := w.NC.Subscribe(bus.InboxPrefix(id)+".>", func(m *nats.Msg) {
			if strings.HasPrefix(string(m.Data), "+OK") {
				accepted.Add(1)
			} else {
				other.Add(1)
			}
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	return ids, func(id fleet.PeelID, subject string, data []byte) {
		if err := w.NC.PublishRequest(subject, bus.InboxPrefix(id)+".x", data); err != nil {
			w.t.Error(err)
		}
	}, accepted, other
}

// TestReturnsAtOnce has many peels return at the same time, some of them more
// than once: each is stored once, and everybody is answered.
func TestReturnsAtOnce(t *testing.T) {
	t.Parallel()
	const peels = 300
	w := newWorld(t)
	m, reg := w.master("one")
	ids, say, accepted, other := w.fleetOf(peels)
	j, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	send := func(id fleet.PeelID, value string) {
		b, err := job.Encode(fleet.Return{JID: j.JID, Peel: id, OK: true, Value: []byte(value), Started: time.Now(), Finished: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		say(id, bus.ReturnSubject(j.JID, id, 0), b)
	}
	answered := func(n int64) {
		t.Helper()
		fleettest.Eventually(t, "everybody is answered", func() error {
			if accepted.Load() != n || other.Load() != 0 {
				return fmt.Errorf("%d accepted of %d, %d others", accepted.Load(), n, other.Load())
			}
			return nil
		})
	}
	for _, id := range ids[:200] {
		send(id, "1")
		if id[len(id)-1] == '7' {
			send(id, "2") // its patience was short
		}
	}
	answered(220)
	for _, id := range ids { // 200 of them again, in the same batches as the new ones
		send(id, "1")
	}
	answered(220 + peels)
	done, returns := follow(t, m, j.JID)
	if done.Summary.Answered != peels || len(returns) != peels {
		t.Errorf("%+v with %d returns", done.Summary, len(returns))
	}
	_, stored, err := m.Job(t.Context(), j.JID)
	if err != nil || len(stored) != peels {
		t.Fatalf("%d are stored: %v", len(stored), err)
	}
	for _, r := range stored {
		if string(r.Value) != "1" {
			t.Errorf("%s: the second value %s took the place of the first", r.Peel, r.Value)
		}
	}
	s, err := w.JS.Stream(t.Context(), "KV_"+bus.JobReturns)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil || info.State.LastSeq != peels {
		t.Errorf("the bucket was written %d times: %v", info.State.LastSeq, err)
	}
	if fleettest.Counter(t, reg, "rind_master_batches_total", "") == 0 {
		t.Error("nothing went as a batch")
	}
}

// TestFactsAtOnce has many peels tell their facts twice at the same time: the
// later ones count.
func TestFactsAtOnce(t *testing.T) {
	t.Parallel()
	const peels = 300
	w := newWorld(t)
	m, reg := w.master("one")
	ids, say, accepted, other := w.fleetOf(peels)
	for _, kernel := range []string{"6.1", "6.2"} {
		for _, id := range ids {
			data, err := json.Marshal(fleet.Facts{ID: id, Hostname: string(id), Kernel: kernel})
			if err != nil {
				t.Fatal(err)
			}
			say(id, bus.FactsSubject(id), data)
		}
	}
	fleettest.Eventually(t, "everybody is answered, and the later facts count", func() error {
		if accepted.Load() != 2*peels || other.Load() != 0 {
			return fmt.Errorf("%d accepted of %d, %d others", accepted.Load(), 2*peels, other.Load())
		}
		for _, id := range ids {
			p, err := m.Peel(t.Context(), id)
			if err != nil {
				return err
			}
			if p.Facts == nil || p.Facts.Kernel != "6.2" {
				return errors.New("the older facts of " + string(id) + " stand")
			}
		}
		return nil
	})
	if fleettest.Counter(t, reg, "rind_master_batches_total", "") == 0 {
		t.Error("nothing went as a batch")
	}
}
