package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// nodesView is the nodes that take reports, and what is short.
type nodesView struct {
	node.Status
	Rows   []nodeView
	Leases []leaseView
	Tried  []taskView // tasks that failed: the dead ones first
	Failed string     // why the database does not tell
}

type nodeView struct {
	cluster.Info
	Look, Word string
	CPU        uint64 // percent
	Took       time.Duration
	Commit     time.Duration
}

// taskView is a task that failed.
type taskView struct {
	cluster.Task
	Dead bool // nobody tries it again but by hand
}

// maxTried bounds the failed tasks of a page; `rind cluster tasks` lists all.
const maxTried = 50

type leaseView struct{ Name, Holder string }

// nodes asks for the nodes; a page without them is better than none.
func (w *Web) nodes(ctx context.Context) *nodesView {
	if w.Cluster == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := w.Cluster.Status(ctx)
	if err != nil {
		return &nodesView{Failed: said(err)}
	}
	v := &nodesView{Status: s}
	host := map[string]string{}
	for _, n := range s.Nodes {
		host[n.ID] = n.Host
		row := nodeView{Info: n, Look: "ok", Word: "ready", CPU: uint64(100*n.Load.CPU + 0.5), Took: millis(n.Load.AnswerMS), Commit: millis(n.Load.DatabaseMS)}
		switch {
		case !n.Alive:
			row.Look, row.Word = "bad", "gone"
		case n.Draining:
			row.Look, row.Word = "warn", "draining"
		}
		v.Rows = append(v.Rows, row)
	}
	for _, l := range s.Leases {
		if l.Held {
			holder := host[l.Holder]
			if at, guest := cluster.GuestHost(l.Holder); guest {
				holder = at
			}
			v.Leases = append(v.Leases, leaseView{l.Name, holder})
		}
	}
	tasks, err := w.Cluster.Tasks(ctx)
	if err != nil {
		return &nodesView{Failed: said(err)}
	}
	for _, t := range tasks {
		if t.Error != "" && len(v.Tried) < maxTried {
			v.Tried = append(v.Tried, taskView{t, t.State == cluster.TaskDead})
		}
	}
	return v
}

// retryTask has a task tried again at once.
func (w *Web) retryTask(rw http.ResponseWriter, r *http.Request) error {
	if w.Cluster == nil {
		return off("the node is")
	}
	id := r.PathValue("id")
	err := w.Cluster.RetryTask(r.Context(), id)
	w.audit(r, "task.retry", id, "", err)
	if err == nil {
		http.Redirect(rw, r, "/taps", http.StatusSeeOther)
		return nil
	}
	if kind, _ := access.Describe(err); kind == errs.Internal {
		return fmt.Errorf("retrying the task: %w", err)
	}
	return w.showTaps(rw, r, access.Status(errs.KindOf(err)), nil, said(err))
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
