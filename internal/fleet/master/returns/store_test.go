package returns_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/returns"
)

// put stores a return as its parts, of which some may be left out.
func put(t *testing.T, kv jetstream.KeyValue, jid string, id fleet.PeelID, value []byte, without ...int) {
	t.Helper()
	b, err := job.Encode(fleet.Return{JID: jid, Peel: id, OK: true, Value: value, Started: time.Now(), Finished: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := job.Split(b)
	if err != nil {
		t.Fatal(err)
	}
	left := map[int]bool{}
	for _, n := range without {
		left[n] = true
	}
	for n, p := range parts {
		if left[n] {
			continue
		}
		if _, err := kv.Put(t.Context(), bus.ReturnKey(jid, id, n), p); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReturnsAsTheyAreStored: short ones and those in parts are read, one of
// which a part is missing is not, and neither is what nobody can read.
func TestReturnsAsTheyAreStored(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	kv, err := w.JS.KeyValue(t.Context(), bus.JobReturns)
	if err != nil {
		t.Fatal(err)
	}
	malformed := prometheus.NewCounter(prometheus.CounterOpts{Name: "malformed"})
	s := returns.New(returns.Deps{Bucket: kv, JS: w.JS, Log: fleettest.Log(), Malformed: malformed})
	jid := job.NewJID()
	long := []byte(`"` + strings.Repeat("x", job.ChunkSize) + `"`)
	put(t, kv, jid, "short", []byte("1"))
	put(t, kv, jid, "long", long)
	put(t, kv, jid, "incomplete", long, 1)
	put(t, kv, jid, "stranger", []byte("2"))
	put(t, kv, job.NewJID(), "short", []byte(`"of another job"`))
	if _, err := kv.Put(t.Context(), bus.ReturnKey(jid, "mad", 0), []byte("no return")); err != nil {
		t.Fatal(err)
	}
	targets := []fleet.PeelID{"incomplete", "long", "mad", "short", "silent"}

	all, err := s.Load(t.Context(), jid, targets)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Peel != "long" || string(all[0].Value) != string(long) || all[1].Peel != "short" || string(all[1].Value) != "1" {
		t.Errorf("%d returns, of %v", len(all), all)
	}
	if n := testutil.ToFloat64(malformed); n != 1 {
		t.Errorf("%v are counted as malformed", n)
	}
	want := fleet.Summary{Targeted: 5, Answered: 2, Missing: 3, MissingPeels: []fleet.PeelID{"incomplete", "mad", "silent"}}
	if diff := cmp.Diff(want, returns.Summarise(targets, all)); diff != "" {
		t.Error(diff)
	}
	if n, err := s.Count(t.Context(), jid); err != nil || n != 5 {
		t.Errorf("the bucket has something of %d peels (%v)", n, err)
	}
	for id, want := range map[fleet.PeelID]bool{"short": true, "long": true, "silent": false} {
		has, err := s.Has(t.Context(), jid, id)
		if err != nil || has != want {
			t.Errorf("%s has returned something: %v (%v)", id, has, err)
		}
		got, err := s.Get(t.Context(), jid, id)
		if (err == nil) != want || want && got.Peel != id {
			t.Errorf("what %s returned: %+v (%v)", id, got, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(gone, jid, targets); err == nil {
		t.Error("nothing was read, and nothing is said")
	}
}
