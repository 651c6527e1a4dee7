package node

import (
	"context"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// Status is how the cluster is.
type Status struct {
	This     string            `json:"this"` // the id of the node that answers
	Nodes    []cluster.Info    `json:"nodes"`
	Leases   []cluster.Holding `json:"leases"`
	Tasks    TaskCount         `json:"tasks"`
	Database database.State    `json:"database"`
	// Partitions are those of the telemetry: a list, one for each table that has some.
	Partitions []Partitions `json:"partitions,omitempty"`
	Findings   []Finding    `json:"findings"` // what is short, the worst first; none when all is well
	Problems   []string     `json:"problems,omitempty"`
	Silent     bool         `json:"database_silent,omitempty"` // the database does not answer: this node tells of itself alone
}

// Partitions are those of one kind of rows, or of one table of sums.
type Partitions struct {
	Kind   string     `json:"kind,omitempty"` // none for sums
	Table  string     `json:"table"`
	Count  int        `json:"count"`
	Oldest *time.Time `json:"oldest,omitempty"` // its begin; none when it holds everything older
	Newest time.Time  `json:"newest"`           // its end: they are made ahead
	Next   string     `json:"next"`             // which is dropped next
	At     time.Time  `json:"next_at"`          // when, by age
}

// TaskCount is how many tasks there are in each state.
type TaskCount struct {
	Waiting int `json:"waiting"`
	Running int `json:"running"`
	Dead    int `json:"dead"`
}

// statusTimeout bounds the questions to the database.
const statusTimeout = 10 * time.Second

// maxTasks is how many tasks are counted and listed.
const maxTasks = 1000

// members lists the nodes. Of this one it knows more than its last heartbeat
// told: that may be the very thing that could not be written.
func (n *Node) members(ctx context.Context) ([]cluster.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout/2)
	defer cancel()
	self, there := n.member.Self(), false
	self.Load = n.further(n.meter.current())
	all, err := n.member.Members(ctx)
	if err != nil {
		return []cluster.Info{self}, err
	}
	for i := range all {
		if all[i].ID == self.ID {
			all[i].Load, there = self.Load, true
		}
	}
	if !there && n.started.Load() {
		all = append(all, self)
	}
	return all, nil
}

// Status asks the database for all that it knows of the cluster. What cannot
// be asked is a problem in the answer, and the rest stands.
func (n *Node) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s := Status{This: n.ID(), Leases: []cluster.Holding{}, Findings: []Finding{}}
	var err error
	if s.Nodes, err = n.members(ctx); err != nil {
		s.Problems = append(s.Problems, err.Error())
		s.Database.Engine, s.Silent = n.deps.DB.Engine(), true
		if database.IsReadOnly(err) { // several hosts are named, and none of them takes writes
			s.Database.Role = "standby"
		}
		s.Findings = Diagnose(s)
		return s, nil
	}
	note := func(err error) {
		if err != nil {
			s.Problems = append(s.Problems, err.Error())
		}
	}
	s.Leases, err = n.member.Leases(ctx)
	note(err)
	tasks, err := n.member.Tasks(ctx, maxTasks)
	note(err)
	for _, t := range tasks {
		switch t.State {
		case cluster.TaskDead:
			s.Tasks.Dead++
		case cluster.TaskRunning:
			s.Tasks.Running++
		default:
			s.Tasks.Waiting++
		}
	}
	s.Database, err = n.deps.DB.State(ctx)
	note(err)
	spans, err := n.store.Spans(ctx)
	note(err)
	for _, p := range spans {
		one := Partitions{Kind: p.Kind, Table: p.Table, Count: p.Partitions, Newest: p.To, Next: p.Next, At: p.At}
		if !p.From.IsZero() {
			one.Oldest = &p.From
		}
		s.Partitions = append(s.Partitions, one)
	}
	s.Findings = Diagnose(s)
	return s, nil
}

// Tasks lists the tasks that are not done, the dead ones first.
func (n *Node) Tasks(ctx context.Context) ([]cluster.Task, error) {
	return n.member.Tasks(ctx, maxTasks)
}

// RetryTask has a task tried again at once.
func (n *Node) RetryTask(ctx context.Context, id string) error { return n.member.Retry(ctx, id) }

// short is the name of a node in a sentence.
func short(i cluster.Info) string { return fmt.Sprintf("%s (%s)", i.Host, i.ID[:min(8, len(i.ID))]) }
