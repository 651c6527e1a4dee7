package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// fakeCluster is nodes in memory; without any it is one that is well.
type fakeCluster struct {
	status *node.Status
	err    error
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
			{ID: "n1", Host: "node-1", Alive: true, Version: "v1", Seen: time.Now(), Load: cluster.Load{CPU: 0.42, Memory: 3 << 30, MemoryLimit: 3 << 30}},
			{ID: "n2", Host: hostile, Alive: true, Draining: true, Version: "v1", Seen: time.Now()},
			{ID: "n3", Host: "node-3", Version: "v1", Seen: time.Now().Add(-time.Hour)},
		},
		Leases: []cluster.Holding{{Name: "retention", Holder: "n1", Held: true}, {Name: "rollup"}},
	}
	s.Findings = node.Diagnose(s)
	w.cluster.status = &s
	c := w.as(t, "the-viewer")
	status, page, _ := c.get("/taps")
	shown := text(t, page)
	for _, want := range []string{"node-1", "42 %", "retention", "draining", "gone", "memory of node-1 (n1):", "raise memory_limit"} {
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
