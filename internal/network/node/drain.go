package node

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/network/node/cluster"
)

// Drain makes a node take no reports and do no periodic work, or ends that.
// node is an id, its beginning, a host's name, or "" for this one.
func (n *Node) Drain(ctx context.Context, node string, on bool) (cluster.Info, error) {
	return n.member.Drain(ctx, node, on)
}

// closed reports whether the node has been draining for so long that balancers
// have turned to others: then it takes no report any more.
func (n *Node) closed() bool { return n.member.Draining() && n.member.DrainsFor() >= n.cfg.DrainWait }

// Leave waits until balancers have had time to turn to other nodes, while it
// still takes reports; /readyz says no by then. It returns at once when there
// is no other node.
func (n *Node) Leave(ctx context.Context) {
	if n.cfg.DrainWait <= 0 || !n.started.Load() {
		return
	}
	ask, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	all, err := n.member.Members(ask)
	if err != nil {
		return
	}
	others := 0
	for _, i := range all {
		if i.ID != n.ID() && i.Alive && !i.Draining {
			others++
		}
	}
	if others == 0 {
		return
	}
	n.deps.Log.Info("the node leaves: balancers turn to the others", "wait", n.cfg.DrainWait, "others", others)
	select {
	case <-ctx.Done():
	case <-time.After(n.cfg.DrainWait):
	}
}
