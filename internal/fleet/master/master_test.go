package master_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/master"
)

func TestFiftyPeelsAndOneAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	var want []fleet.PeelID
	for n := range 50 {
		id := fleet.PeelID(fmt.Sprintf("web-%02d", n))
		w.peel(w.Enroll(id), "")
		want = append(want, id)
	}
	w.Enroll("web-away")
	w.peel(w.Enroll("db-1"), "")
	fleettest.Eventually(t, "all connect", online(m, 51))

	for _, target := range []string{"*", "web-*"} {
		j, returns := finish(t, m, fleet.JobRequest{Target: target, Function: "test.ping", Timeout: 3 * time.Second, By: "tester"})
		n := 50
		if target == "*" {
			n = 51
		}
		wantSum := fleet.Summary{Targeted: n + 1, Answered: n, Missing: 1, MissingPeels: []fleet.PeelID{"web-away"}}
		if diff := cmp.Diff(wantSum, j.Summary); diff != "" {
			t.Errorf("%s: summary (-want +got):\n%s", target, diff)
		}
		if j.State != fleet.JobDone || len(returns) != n {
			t.Errorf("%s: %s with %d returns, want done with %d", target, j.State, len(returns), n)
		}
		for id, r := range returns {
			if !r.OK || string(r.Value) != "true" || r.JID != j.JID || r.Peel != id {
				t.Errorf("%s: %s answered %+v", target, id, r)
			}
		}
		again, stored, err := m.Job(t.Context(), j.JID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(j.Summary, again.Summary); diff != "" || len(stored) != n {
			t.Errorf("%s: read again with %d returns (-want +got):\n%s", target, len(stored), diff)
		}
	}
	j, _ := finish(t, m, fleet.JobRequest{Target: "web-0[1-3]", Function: "test.ping"})
	if j.Summary.Targeted != 3 || j.Summary.Answered != 3 {
		t.Errorf("a class: %+v", j.Summary)
	}
	jobs, err := m.Jobs(t.Context(), 10)
	if err != nil || len(jobs) != 3 || jobs[0].JID != j.JID {
		t.Errorf("jobs: %v, %v", jobs, err)
	}
	checkPages(t, m, append(want, "db-1", "web-away"))
}

func checkPages(t *testing.T, m *master.Master, want []fleet.PeelID) {
	t.Helper()
	slices.Sort(want)
	var got []fleet.PeelID
	for after := fleet.PeelID(""); ; {
		page, err := m.Peels(t.Context(), master.PeelQuery{Limit: 7, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			got = append(got, p.ID)
		}
		if len(page) < 7 {
			break
		}
		after = page[len(page)-1].ID
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	boom := function.Function{Name: "test.boom", ReadOnly: true, Run: func(context.Context, function.Call) (function.Result, error) { panic("boom") }}
	big := function.Function{Name: "test.big", ReadOnly: true, Run: func(context.Context, function.Call) (function.Result, error) {
		return function.Result{Value: strings.Repeat("abcdefgh", 5<<20/8)}, nil
	}}
	huge := function.Function{Name: "test.huge", ReadOnly: true, Run: func(context.Context, function.Call) (function.Result, error) {
		return function.Result{Value: strings.Repeat("x", 17<<20)}, nil
	}}
	w.peel(w.Enroll("web"), t.TempDir(), boom, big, huge)
	fleettest.Eventually(t, "it connects", online(m, 1))
	tests := []struct {
		name, function string
		args           []string
		ok             bool
		exit           int
		has            string // in the value or the error
	}{
		{"ping", "test.ping", nil, true, 0, "true"},
		{"fact", "facts.get", []string{"kernel_name"}, true, 0, `"Linux"`},
		{"own id", "facts.get", []string{"id"}, true, 0, `"web"`},
		{"items", "facts.items", nil, true, 0, `"interfaces":`},
		{"no such fact", "facts.get", []string{"mem.totl"}, false, 0, "did you mean mem.total?"},
		{"argument missing", "facts.get", nil, false, 0, "usage: facts.get KEY"},
		{"unknown function", "test.pong", nil, false, 0, "did you mean test.ping?"},
		{"command", "cmd.run", []string{"echo out; echo err >&2"}, true, 0, `{"stdout":"out\n","stderr":"err\n","exit_code":0}`},
		{"exit code", "cmd.run", []string{"exit 7"}, false, 7, `"exit_code":7`},
		{"limit", "cmd.run", []string{"sleep 60", "timeout=200ms"}, false, 137, `"timed_out":true`},
		{"panic", "test.boom", nil, false, 0, "a defect of the peel"},
		{"five megabytes", "test.big", nil, true, 0, "abcdefghabcdefgh"},
		{"too much", "test.huge", nil, false, 0, "can be returned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j, returns := finish(t, m, fleet.JobRequest{Target: "web", Function: tt.function, Args: tt.args})
			r := returns["web"]
			if r.OK != tt.ok || r.ExitCode != tt.exit || !strings.Contains(string(r.Value)+r.Error, tt.has) {
				t.Errorf("ok %v, exit %d, error %q, value %.200s", r.OK, r.ExitCode, r.Error, r.Value)
			}
			if want := map[bool]int{true: 0, false: 1}[tt.ok]; j.Summary.Failed != want {
				t.Errorf("failed %d, want %d", j.Summary.Failed, want)
			}
			_, stored, err := m.Job(t.Context(), j.JID)
			if err != nil || len(stored) != 1 || string(stored[0].Value) != string(r.Value) {
				t.Errorf("stored %d returns, %v; the value differs: %v", len(stored), err, len(stored) == 1 && string(stored[0].Value) != string(r.Value))
			}
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	_, err := m.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping"})
	if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "rind enroll token") {
		t.Errorf("an empty fleet: %v", err)
	}
	w.Enroll("web")
	tests := []struct {
		name string
		req  fleet.JobRequest
		kind errs.Kind
		has  string
	}{
		{"nobody", fleet.JobRequest{Target: "db-*", Function: "test.ping"}, errs.NotFound, "none of the 1 enrolled"},
		{"no function", fleet.JobRequest{Target: "*"}, errs.Invalid, "names no function"},
		{"bad target", fleet.JobRequest{Target: "web-[", Function: "test.ping"}, errs.Invalid, "column 5"},
		{"no target", fleet.JobRequest{Function: "test.ping"}, errs.Invalid, "column 1"},
		{"timeout", fleet.JobRequest{Target: "*", Function: "test.ping", Timeout: -1}, errs.Invalid, "timeout"},
		{"arguments", fleet.JobRequest{Target: "*", Function: "cmd.run", Args: []string{strings.Repeat("x", 1<<20)}}, errs.TooLarge, "bytes"},
	}
	for _, tt := range tests {
		if _, err := m.Run(t.Context(), tt.req); !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.has) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if jobs, err := m.Jobs(t.Context(), 10); err != nil || len(jobs) != 0 {
		t.Errorf("refused requests left jobs: %v, %v", jobs, err)
	}
	// An id that is listed and that nobody has is told, and not counted.
	listed := fleet.JobRequest{Target: "L@web,wbe or db-*", Function: "test.ping"}
	plan, err := m.Plan(t.Context(), listed)
	if err != nil || plan.Targeted != 1 || fmt.Sprint(plan.Unknown) != "[wbe]" {
		t.Errorf("planned %+v %v", plan, err)
	}
	if j, err := m.Run(t.Context(), listed); err != nil || j.Summary.Targeted != 1 || fmt.Sprint(j.Unknown) != "[wbe]" {
		t.Errorf("run %+v %v", j, err)
	}
	for _, jid := range []string{"", "nonsense", "a.b", "*", ">", job.NewJID()} {
		if _, _, err := m.Job(t.Context(), jid); !errs.Is(err, errs.NotFound) {
			t.Errorf("job %q: %v", jid, err)
		}
		if _, err := m.Watch(t.Context(), jid); !errs.Is(err, errs.NotFound) {
			t.Errorf("watch %q: %v", jid, err)
		}
	}
}

func TestFactsArriveAndAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.master("one")
	changes := m.Changes(t.Context())
	p, _ := w.peel(w.Enroll("web"), "")
	fleettest.Eventually(t, "facts arrive", func() error {
		got, err := m.Peel(t.Context(), "web")
		if err != nil {
			return err
		}
		if got.Facts == nil || got.Facts.KernelName != "Linux" || got.Facts.ID != "web" || got.Version != "test" {
			return fmt.Errorf("the peel is %+v", got)
		}
		return nil
	})
	select {
	case <-changes:
	case <-time.After(5 * time.Second):
		t.Error("no change was told")
	}
	raw, err := w.JS.KeyValue(t.Context(), "facts")
	if err != nil {
		t.Fatal(err)
	}
	e, err := raw.Get(t.Context(), "web")
	if err != nil || !json.Valid(e.Value()) {
		t.Errorf("the bucket: %v", err)
	}
	stop(t, p)
	w.Leave("web")
	if err := m.Forget(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Peel(t.Context(), "web"); !errs.Is(err, errs.NotFound) {
		t.Errorf("after forgetting: %v", err)
	}
}
