package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// fakeCluster is nodes in memory; without any it is one that is well.
type fakeCluster struct {
	status  *node.Status
	err     error
	tasks   []cluster.Task
	retried []string
}

// Tasks implements web.Cluster.
func (f *fakeCluster) Tasks(context.Context) ([]cluster.Task, error) { return f.tasks, nil }

// RetryTask implements web.Cluster.
func (f *fakeCluster) RetryTask(_ context.Context, id string) error {
	if !slices.ContainsFunc(f.tasks, func(t cluster.Task) bool { return t.ID == id }) {
		return errs.New(errs.NotFound, "there is no task %q", id)
	}
	f.retried = append(f.retried, id)
	return nil
}

// Status implements web.Cluster.
func (f *fakeCluster) Status(context.Context) (node.Status, error) {
	if f.err != nil {
		return node.Status{}, f.err
	}
	if f.status != nil {
		return *f.status, nil
	}
	return node.Status{Nodes: []cluster.Info{{ID: "n1", Host: "node-1", Alive: true, Version: "v1", Seen: time.Now()}}}, nil
}

// The page of taps shows the nodes, who holds what, and what is short.
func TestNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := node.Status{
		Nodes: []cluster.Info{
			{ID: "n1", Host: "node-1", Alive: true, Version: "v1", Seen: time.Now(), Load: cluster.Load{CPU: 0.42, Memory: 3 << 30, MemoryLimit: 3 << 30, MemoryShort: true}},
			{ID: "n2", Host: hostile, Alive: true, Draining: true, Version: "v1", Seen: time.Now()},
			{ID: "n3", Host: "node-3", Version: "v1", Seen: time.Now().Add(-time.Hour)},
		},
		Leases: []cluster.Holding{{Name: "retention", Holder: "n1", Held: true}, {Name: "rollup"}, {Name: "managed", Holder: "node-1/g1", Held: true}},
	}
	s.Findings = node.Diagnose(s)
	w.cluster.status = &s
	c := w.as(t, "the-viewer")
	status, page, _ := c.get("/taps")
	shown := text(t, page)
	for _, want := range []string{"node-1", "42 %", "retention managed", "draining", "gone", "memory of node-1 (n1):", "raise memory_limit"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if status != http.StatusOK || strings.Contains(page, "<script>alert") || strings.Contains(shown, "rollup") {
		t.Errorf("%d: %s", status, shown)
	}
	w.cluster.err = errors.New("no answer")
	if status, page, _ := c.get("/taps"); status != http.StatusOK || !strings.Contains(text(t, page), "does not tell of its nodes") {
		t.Errorf("without the database: %d", status)
	}
}

// The page of taps shows the tasks that failed, and an administrator has one
// tried again.
func TestFailedTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster.tasks = []cluster.Task{
		{ID: "t1", Kind: "trim", Subject: "flows_p20260101 acme", State: cluster.TaskDead, Attempts: 8, Error: "the disk is full " + hostile},
		{ID: "t2", Kind: "index", Subject: "flows_p20260102", State: cluster.TaskWaiting, Attempts: 2, Error: "no answer"},
		{ID: "t3", Kind: "index", Subject: "flows_p20260103", State: cluster.TaskWaiting},
	}
	viewer, admin := w.as(t, "the-viewer"), w.as(t, "the-admin")
	_, page, _ := viewer.get("/taps")
	shown := text(t, page)
	for _, want := range []string{"flows_p20260101 acme", "dead", "the disk is full", "flows_p20260102", "tried again", "no answer"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "/tasks/") || strings.Contains(shown, "flows_p20260103") {
		t.Errorf("a viewer is shown %s", shown)
	}
	checkMarkup(t, "/taps", page)
	if status, _, _ := viewer.post("/tasks/t1", url.Values{}); status != http.StatusForbidden {
		t.Errorf("a viewer retries: %d", status)
	}
	if _, page, _ := admin.get("/taps"); !strings.Contains(page, `action="/tasks/t1"`) {
		t.Error("an administrator has no button")
	}
	if status, _, h := admin.post("/tasks/t1", url.Values{}); status != http.StatusSeeOther || h.Get("Location") != "/taps" {
		t.Errorf("retrying: %d to %q", status, h.Get("Location"))
	}
	if status, page, _ := admin.post("/tasks/none", url.Values{}); status != http.StatusNotFound || !strings.Contains(text(t, page), "no task") {
		t.Errorf("retrying what is not there: %d", status)
	}
	if !slices.Equal(w.cluster.retried, []string{"t1"}) {
		t.Errorf("it retried %q", w.cluster.retried)
	}
	trail, err := w.access.AuditList(t.Context(), 2, "")
	if err != nil || len(trail) != 2 || trail[1].Action != "task.retry" || trail[1].Object != "t1" || !trail[1].OK || trail[0].OK {
		t.Errorf("the audit trail says %+v, %v", trail, err)
	}
}
