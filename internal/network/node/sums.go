package node

import (
	"context"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// sumWork names the work and lease under which the sums of minutes and hours
// are made.
const (
	sumWork  = "sums"
	sumEvery = 30 * time.Second
)

// partition makes the partitions of the time ahead, now and again. Every node
// may: what is there already is left as it is.
func (n *Node) partition(ctx context.Context) {
	tick := time.NewTicker(sumEvery)
	defer tick.Stop()
	for {
		if _, err := n.store.MakePartitions(ctx); err != nil && ctx.Err() == nil {
			n.deps.Log.Warn("partitions of the telemetry were not all made; rows go to the rest meanwhile", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sums makes the sums of the minutes and hours that have ended, and the
// indexes of partitions that take no more rows. The lease is checked in the
// transactions that write the sums.
func (n *Node) sums(ctx context.Context, l *cluster.Lease, _ time.Time) error {
	err := n.store.Maintain(ctx, func(ctx context.Context, tx *database.Tx) error { return n.member.Fence(ctx, tx, l) })
	if err != nil {
		return fmt.Errorf("the sums of the telemetry were not all made: %w", err)
	}
	return nil
}
