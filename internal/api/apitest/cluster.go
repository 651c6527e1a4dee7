package apitest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// Cluster is two nodes in memory, of which the second is short of memory, and
// a task that failed for good.
type Cluster struct {
	mu     sync.Mutex
	status node.Status
	tasks  []cluster.Task
}

// NewCluster makes the two nodes.
func NewCluster() *Cluster {
	one := cluster.Info{
		ID: "01980c6e-0000-7000-8000-00000000000a", Host: "node-1", Address: "https://192.0.2.1:8443", Roles: []string{"bus", "master", "node"}, Version: "v1",
		Started: Now.Add(-50 * time.Hour), Seen: Now.Add(-2 * time.Second), Alive: true,
		Load: cluster.Load{CPU: 0.25, HostCPU: 0.5, Memory: 200 << 20, MemoryLimit: 3 << 30, Requests: 3, Reports: 12.5, AnswerMS: 18, DatabaseMS: 4, LagMS: 11_000, PoolMax: 16},
	}
	two := one
	two.ID, two.Host, two.Address = "01980c6e-0000-7000-8000-00000000000b", "node-2", "https://192.0.2.2:8443"
	two.Load.Memory, two.Load.MemoryShort = 2900<<20, true
	day := 24 * time.Hour
	begin := Now.Truncate(day).Add(-30 * day)
	c := &Cluster{
		status: node.Status{
			Partitions: []node.Partitions{
				{Kind: "flows", Table: "flows", Count: 33, Oldest: &begin, Newest: begin.Add(33 * day), Next: "flows_p20260130", At: begin.Add(31 * day)},
				{Table: "host_hours", Count: 14, Newest: begin.Add(35 * day), Next: "host_hours_before", At: begin.Add(95 * day)},
			},
			This: one.ID, Nodes: []cluster.Info{one, two},
			Leases: []cluster.Holding{{Name: "retention", Holder: one.ID, Epoch: 4, Until: Now.Add(12 * time.Second), Held: true}, {Name: "rollup", Epoch: 2},
				{Name: "managed", Holder: "node-3/01980c6e-0000-7000-8000-00000000000c", Epoch: 1, Until: Now.Add(9 * time.Second), Held: true}},
			Database: database.State{
				Engine: database.PostgreSQL, Version: "17.2", Role: "primary", SizeBytes: 12 << 30, Connections: 23, Max: 100,
				Standbys: []string{"db2 (40 ms behind)"}, PoolInUse: 2, PoolMax: 16, SkewMicros: 1200,
			},
		},
		tasks: []cluster.Task{
			{ID: "t1", Kind: "index", Subject: "flows_20250101", State: cluster.TaskDead, Attempts: 8, Next: Now, Error: "no space left on device", Created: Now.Add(-time.Hour)},
			{ID: "t2", Kind: "rollup", Subject: "2025-01-01T10", State: cluster.TaskWaiting, Attempts: 1, Next: Now.Add(10 * time.Second), Error: "a deadlock", Created: Now.Add(-time.Minute)},
		},
	}
	return c
}

// Status implements api.Cluster.
func (c *Cluster) Status(context.Context) (node.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Nodes = slices.Clone(s.Nodes)
	for _, t := range c.tasks {
		if t.State == cluster.TaskDead {
			s.Tasks.Dead++
		} else {
			s.Tasks.Waiting++
		}
	}
	s.Findings = node.Diagnose(s)
	return s, nil
}

// Tasks implements api.Cluster.
func (c *Cluster) Tasks(context.Context) ([]cluster.Task, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tasks), nil
}

// RetryTask implements api.Cluster.
func (c *Cluster) RetryTask(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.tasks {
		if c.tasks[i].ID == id {
			c.tasks[i].State, c.tasks[i].Attempts, c.tasks[i].Next = cluster.TaskWaiting, 0, Now
			return nil
		}
	}
	return errs.New(errs.NotFound, "there is no task %q", id)
}

// Drain implements api.Cluster.
func (c *Cluster) Drain(_ context.Context, name string, on bool) (cluster.Info, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.status.Nodes {
		n := &c.status.Nodes[i]
		if name == "" && i == 0 || n.ID == name || n.Host == name {
			n.Draining = on
			return *n, nil
		}
	}
	return cluster.Info{}, errs.New(errs.NotFound, "there is no node %q", name)
}
