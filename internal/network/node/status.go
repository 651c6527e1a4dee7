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

// Status asks the database for all that it knows of the cluster. What cannot
// be asked is a problem in the answer, and the rest stands.
func (n *Node) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s := Status{This: n.ID(), Nodes: []cluster.Info{}, Leases: []cluster.Holding{}, Findings: []Finding{}}
	var err error
	if s.Nodes, err = n.member.Members(ctx); err != nil {
		return s, err
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
