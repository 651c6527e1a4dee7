package master_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
)

func TestJobsOfAPeelAndCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, _ := w.master("one")
	w.peel(w.Enroll("web-1"), "")
	w.peel(w.Enroll("db-1"), "")
	w.Enroll("web-away")
	fleettest.Eventually(t, "both connect", online(one, 2))

	// Of which jobs each is told, not which targets look as if they named it.
	var jids []string
	run := func(target string, wait time.Duration) {
		t.Helper()
		j, _ := finish(t, one, fleet.JobRequest{Target: target, Function: "test.ping", Timeout: wait, By: "tester"})
		jids = append(jids, j.JID)
	}
	run("web-1", 5*time.Second)
	run("db-*", 5*time.Second)
	run("*", 2*time.Second) // web-away misses it
	w.peel(w.Enroll("late-1"), "")
	fleettest.Eventually(t, "a third connects", online(one, 3))
	run("late-*", 5*time.Second)
	running, err := one.Run(t.Context(), fleet.JobRequest{Target: "web-*", Function: "test.ping", Timeout: 20 * time.Second, By: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	jids = append(jids, running.JID)

	// The second master did not collect the answers, and reads what is kept.
	two, _ := w.master("two")
	want := map[fleet.PeelID][]string{
		"web-1": {jids[4], jids[2], jids[0]}, "db-1": {jids[2], jids[1]}, "web-away": {jids[4], jids[2]}, "late-1": {jids[3]}, "nobody": nil,
	}
	for name, m := range map[string]*master.Master{"one": one, "two": two} {
		fleettest.Eventually(t, name+" knows the jobs", func() error {
			if all, err := m.Jobs(t.Context(), 10); err != nil || len(all) != 5 {
				return errors.Join(err, errors.New("not all jobs yet"))
			}
			return nil
		})
		for id, want := range want {
			if diff := cmp.Diff(want, jidsOf(t, m, id, 10), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("master %s, the jobs of %s (-want +got):\n%s", name, id, diff)
			}
		}
		if diff := cmp.Diff(jids[4:5], jidsOf(t, m, "web-1", 1)); diff != "" {
			t.Errorf("master %s, the latest only (-want +got):\n%s", name, diff)
		}
	}
	if _, err := one.JobsOf(t.Context(), "a.*", 10); !errs.Is(err, errs.Invalid) {
		t.Errorf("the jobs of a.*: %v", err)
	}
	got, err := one.Counts(t.Context())
	if diff := cmp.Diff(master.Counts{Total: 4, Connected: 3, Never: 1}, got); err != nil || diff != "" {
		t.Errorf("counts (-want +got), %v:\n%s", err, diff)
	}
}

func jidsOf(t *testing.T, m *master.Master, id fleet.PeelID, limit int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	jobs, err := m.JobsOf(ctx, id, limit)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, j := range jobs {
		out = append(out, j.JID)
	}
	return out
}
