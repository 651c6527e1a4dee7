package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

func (s *shell) clusterCommand() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show the nodes, their leases, the database, its partitions, and what is short",
		Long: "Show the nodes that share the database, their load and leases, how the database and its partitions\n" +
			"are, and what is short when taps time out or pages are slow: memory, PostgreSQL, connections, CPU or the link.",
		Example: "  rind cluster status\n  rind cluster status -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.clusterStatus(cmd.Context()) },
	}
	tasks := &cobra.Command{
		Use: "tasks", Short: "List the nodes' tasks that wait, run, or failed for good",
		Example: "  rind cluster tasks",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listTasks(cmd.Context()) },
	}
	retry := &cobra.Command{
		Use: "retry TASK", Short: "Have a task tried again at once",
		Example: "  rind cluster retry 01980c6e-0000-7000-8000-000000000001",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.post(cmd.Context(), "/cluster/tasks/"+url.PathEscape(args[0])+"/retry", nil, nil); err != nil {
				return err
			}
			return s.done("the task %s is tried again", args[0])
		},
	}
	return group("cluster", "The nodes that share the database", status, tasks, retry)
}

func (s *shell) nodeCommand() *cobra.Command {
	return group("node", "Single nodes",
		s.drainCommand("drain", "Have a node take nothing new, and give its work to the others",
			"The node says that it is not ready, so that balancers turn to the others, takes no further\n"+
				"report after node.drain_wait, and gives its leases away. It goes on so until undrain, or until\n"+
				"it is started again. Without an id it is the node that is asked."),
		s.drainCommand("undrain", "Have a node that drains take reports again", ""))
}

func (s *shell) drainCommand(verb, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " [NODE]", Short: short, Long: strings.TrimSpace(short + ".\n\n" + long),
		Example: "  rind node " + verb + "\n  rind node " + verb + " node-2",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := "self"
			if len(args) == 1 {
				id = args[0]
			}
			var out cluster.Info
			if err := s.post(cmd.Context(), "/nodes/"+url.PathEscape(id)+"/"+verb, nil, &out); err != nil {
				return err
			}
			if s.format != asTable {
				return s.show(out, nil)
			}
			if out.Draining {
				return s.done("the node %s on %s drains; `rind node undrain %s` ends it", render.Line(out.ID), render.Line(out.Host), render.Line(out.ID))
			}
			return s.done("the node %s on %s takes reports again", render.Line(out.ID), render.Line(out.Host))
		},
	}
}

func (s *shell) clusterStatus(ctx context.Context) error {
	var out node.Status
	if err := s.get(ctx, "/cluster", nil, &out); err != nil {
		return err
	}
	if s.format != asTable {
		return s.show(out, nil)
	}
	for _, part := range []*render.Table{s.nodeTable(out), leaseTable(s.opts.Now(), out), databaseTable(out.Database.Role, out), partitionTable(s.opts.Now(), out)} {
		part.Wide = part.Wide || s.wide
		if err := part.Write(s.opts.Out, s.paint()); err != nil {
			return err
		}
		if err := say(s.opts.Out, ""); err != nil {
			return err
		}
	}
	return s.sayFindings(out)
}

func (s *shell) nodeTable(out node.Status) *render.Table {
	t := &render.Table{
		Columns: render.Columns("NODE", "HOST", "STATE", "ROLES", "ADDRESS", ">CPU", ">MEMORY", ">REPORTS/S", ">QUEUE", ">REFUSED/S", ">ANSWER", ">LAG", ">DATABASE", "SEEN", "VERSION"),
		Wide:    true, // an id that is cut is no use
	}
	for _, n := range out.Nodes {
		l := n.Load
		memory := render.Bytes(l.Memory)
		if l.MemoryLimit > 0 {
			memory += " of " + render.Bytes(l.MemoryLimit)
		}
		t.Add(n.ID, n.Host, nodeState(n, out.This), strings.Join(n.Roles, ","), n.Address, fmt.Sprintf("%.0f %%", 100*l.CPU), memory,
			fmt.Sprintf("%.1f", l.Reports), strconv.FormatInt(l.Requests, 10), fmt.Sprintf("%.1f", l.Refused),
			fmt.Sprintf("%.0f ms", l.AnswerMS), render.Duration(time.Duration(l.LagMS*float64(time.Millisecond))), fmt.Sprintf("%.0f ms", l.DatabaseMS),
			s.ago(n.Seen), n.Version)
	}
	return t
}

func nodeState(n cluster.Info, this string) string {
	state := "ready"
	switch {
	case !n.Alive:
		state = "gone"
	case n.Draining:
		state = "draining"
	}
	if n.ID == this {
		state += " (asked)"
	}
	return state
}

func leaseTable(now time.Time, out node.Status) *render.Table {
	host := map[string]string{}
	for _, n := range out.Nodes {
		host[n.ID] = n.Host
	}
	t := &render.Table{Columns: render.Columns("LEASE", "HOLDER", "ENDS", ">CHANGES"), Empty: "no lease was taken yet"}
	for _, l := range out.Leases {
		holder, ends := "nobody", "-"
		if l.Held {
			if holder = host[l.Holder]; holder == "" {
				holder = l.Holder
			}
			if at, guest := cluster.GuestHost(l.Holder); guest {
				holder = at + " (master)"
			}
			ends = render.Ago(now, l.Until)
		}
		t.Add(l.Name, holder, ends, strconv.FormatInt(l.Epoch, 10))
	}
	return t
}

func databaseTable(role string, out node.Status) *render.Table {
	d := out.Database
	t := &render.Table{Columns: render.Columns("DATABASE", "ROLE", ">SIZE", ">CONNECTIONS", ">POOL", ">CLOCK", "STANDBYS", ">TASKS")}
	t.Add(string(d.Engine)+" "+d.Version, role, render.Bytes(d.SizeBytes), fmt.Sprintf("%d of %d", d.Connections, d.Max), fmt.Sprintf("%d of %d", d.PoolInUse, d.PoolMax),
		fmt.Sprintf("%+.1f ms", float64(d.SkewMicros)/1000), strings.Join(d.Standbys, ", "),
		fmt.Sprintf("%d wait, %d run, %d dead", out.Tasks.Waiting, out.Tasks.Running, out.Tasks.Dead))
	return t
}

// partitionTable shows what time the telemetry's partitions cover, and which go
// next by their age.
func partitionTable(now time.Time, out node.Status) *render.Table {
	t := &render.Table{Columns: render.Columns("PARTITIONS OF", ">COUNT", "OLDEST FROM", "NEWEST TO", "NEXT TO GO", "WHEN"), Empty: "there are no partitions yet"}
	for _, p := range out.Partitions {
		name, oldest := p.Kind, "-"
		if name == "" {
			name = p.Table
		}
		if p.Oldest != nil {
			oldest = render.Clock(now, *p.Oldest)
		}
		t.Add(name, strconv.Itoa(p.Count), oldest, render.Clock(now, p.Newest), p.Next, render.Clock(now, p.At))
	}
	return t
}

// sayFindings ends with what a person came for: what is short.
func (s *shell) sayFindings(out node.Status) error {
	for _, p := range out.Problems {
		if err := say(s.opts.Out, render.Line("not known: "+p)); err != nil {
			return err
		}
	}
	if len(out.Findings) == 0 {
		return say(s.opts.Out, "nothing is short")
	}
	for _, f := range out.Findings {
		where := ""
		if f.Node != "" {
			where = " of " + f.Node
		}
		for _, line := range []string{f.What + where + ": " + f.Shows, "  so  " + f.So, "  do  " + f.Do} {
			if err := say(s.opts.Out, render.Line(line)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shell) listTasks(ctx context.Context) error {
	var out wire.TasksOut
	if err := s.get(ctx, "/cluster/tasks", nil, &out); err != nil {
		return err
	}
	return showList(s, out.Tasks, func() *render.Table {
		t := &render.Table{Columns: render.Columns("ID", "TASK", "SUBJECT", "STATE", ">TRIES", "NEXT", "ERROR"), Empty: "no task waits, and none failed"}
		for _, x := range out.Tasks {
			next := s.ago(x.Next)
			if x.State == cluster.TaskDead {
				next = "-"
			}
			t.Add(x.ID, x.Kind, x.Subject, x.State, strconv.FormatInt(x.Attempts, 10), next, x.Error)
		}
		return t
	})
}
