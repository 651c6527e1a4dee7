package master_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/target/group"
)

// with starts a master with further dependencies.
func (w *world) with(name string, change func(*master.Deps)) *master.Master {
	w.t.Helper()
	m, _ := w.masterWith(master.Config{Name: name}, change)
	return m
}

// A named group means the same wherever a target is written, at once.
func TestGroupsInTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	groups := group.New(group.Deps{DB: databasetest.Open(t, database.SQLite, group.Migrations()), Now: time.Now})
	m := w.with("one", func(d *master.Deps) { d.Group = groups.Find })
	for _, id := range []fleet.PeelID{"web-1", "web-2", "db-1"} {
		w.peel(w.Enroll(id), "")
	}
	fleettest.Eventually(t, "all connect", online(m, 3))
	set := func(name, text string) {
		t.Helper()
		if _, err := groups.Set(t.Context(), name, text, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	set("web", "web-*")
	set("some", "N@web and not web-2")
	for text, want := range map[string]int{"N@web": 2, "N@some": 1, "not N@some": 2, "N@some or db-*": 2} {
		j, _ := finish(t, m, fleet.JobRequest{Target: text, Function: "test.ping"})
		if j.Summary.Targeted != want || j.Summary.Answered != want || j.Target != text {
			t.Errorf("a job for %s: %+v", text, j)
		}
		peels, err := m.Peels(t.Context(), master.PeelQuery{Match: text})
		if err != nil || len(peels) != want {
			t.Errorf("peels of %s: %d, %v", text, len(peels), err)
		}
		test, err := m.TestTarget(t.Context(), master.PeelQuery{Match: text})
		if err != nil || test.Matched != want || len(test.Matches) != want {
			t.Errorf("a test of %s: %+v, %v", text, test, err)
		}
	}
	set("web", "db-*")
	if peels, err := m.Peels(t.Context(), master.PeelQuery{Match: "N@web"}); err != nil || len(peels) != 1 || peels[0].ID != "db-1" {
		t.Errorf("after a change: %v, %v", peels, err)
	}
	if _, err := m.Run(t.Context(), fleet.JobRequest{Target: "web-* and N@none", Function: "test.ping"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a group that is not there: %v", err)
	}
}

func TestGroupsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.with("one", func(d *master.Deps) {
		d.Group = func(context.Context, string) (string, bool, error) { return "", false, errors.New("no database") }
	})
	for name, err := range map[string]error{
		"run": func() error {
			_, err := m.Run(t.Context(), fleet.JobRequest{Target: "N@web", Function: "test.ping"})
			return err
		}(),
		"peels": func() error { _, err := m.Peels(t.Context(), master.PeelQuery{Match: "N@web"}); return err }(),
		"test":  func() error { _, err := m.TestTarget(t.Context(), master.PeelQuery{Match: "N@web"}); return err }(),
	} {
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
