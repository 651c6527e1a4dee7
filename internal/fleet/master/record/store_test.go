package record_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

func TestStore(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	jobs, err := w.JS.KeyValue(t.Context(), bus.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	full := error(nil)
	s := record.New(record.Deps{JS: w.JS, Jobs: jobs, Room: func() error { return full }, Ending: t.Context().Done()})
	ids := []fleet.PeelID{"db", "web"}
	first := record.Record{Job: fleet.Job{JID: job.NewJID(), Target: "*", Function: "test.ping", State: fleet.JobRunning, Created: time.Now().UTC()}, Master: "one", Epoch: 1}
	if err := s.Create(t.Context(), &first, ids); err != nil {
		t.Fatal(err)
	}
	read := func() record.Record {
		t.Helper()
		r, err := s.Read(t.Context(), first.JID)
		if err != nil {
			t.Fatal(err)
		}
		return *r
	}
	second := read()
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("it was read otherwise than written: %s", diff)
	}
	if got, err := s.Targets(t.Context(), &second); err != nil || !cmp.Equal(got, ids) {
		t.Errorf("the targets are %v (%v)", got, err)
	}

	// Of two masters that write over the same revision, one alone succeeds.
	second.Master, second.Epoch = "two", 2
	if err := s.Update(t.Context(), &second); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), &first); !errors.Is(err, record.ErrSuperseded) {
		t.Errorf("the other one is told %v", err)
	}
	if now := read(); now.Master != "two" || now.Epoch != 2 {
		t.Errorf("it is %s's, in epoch %d", now.Master, now.Epoch)
	}
	if _, err := s.Read(t.Context(), job.NewJID()); !errs.Is(err, errs.NotFound) {
		t.Errorf("a job that nobody wrote down: %v", err)
	}

	// Without room nothing of a job is written.
	full = errors.New("the disk is full")
	third := record.Record{Job: fleet.Job{JID: job.NewJID()}}
	if err := s.Create(t.Context(), &third, ids); !errs.Is(err, errs.Unavailable) || !errors.Is(err, full) {
		t.Errorf("without room: %v", err)
	}
	keys, err := jobs.Keys(t.Context())
	if err != nil || len(keys) != 2 {
		t.Errorf("the bucket has %v (%v)", keys, err)
	}
}

// TestOwed: a job that has ended can be got by those who were away, unless it
// was cancelled or is too old.
func TestOwed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ended := record.Record{Job: fleet.Job{State: fleet.JobDone, Ended: now, Expires: now.Add(time.Hour), Summary: fleet.Summary{Missing: 1}}}
	tests := map[string]struct {
		change func(*record.Record)
		want   bool
	}{
		"one is missing":        {func(*record.Record) {}, true},
		"nobody is missing":     {func(r *record.Record) { r.Summary.Missing = 0 }, false},
		"it was sent to nobody": {func(r *record.Record) { r.Summary.Unsent = 1 }, false},
		"it was cancelled":      {func(r *record.Record) { r.State = fleet.JobCancelled }, false},
		"it has expired":        {func(r *record.Record) { r.Expires = now }, false},
		"it goes on":            {func(r *record.Record) { r.Ended, r.Summary.Missing = time.Time{}, 0 }, true},
	}
	for name, tt := range tests {
		r := ended
		tt.change(&r)
		if got := r.Owed(now); got != tt.want {
			t.Errorf("%s: owed is %v", name, got)
		}
	}
}
