package web

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// nodesView is the nodes that take reports, and what is short.
type nodesView struct {
	node.Status
	Rows   []nodeView
	Leases []leaseView
	Failed string // why the database does not tell
}

type nodeView struct {
	cluster.Info
	Look, Word string
	CPU        uint64 // percent
	Took       time.Duration
	Commit     time.Duration
}

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
			v.Leases = append(v.Leases, leaseView{l.Name, host[l.Holder]})
		}
	}
	return v
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
