package node

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// sumWork names the lease under which the sums of minutes and hours are made.
const (
	sumWork  = "sums"
	sumEvery = 10 * time.Second
)

// partition makes the partitions of the time ahead, until the context ends.
// Every node may.
func (n *Node) partition(ctx context.Context) {
	n.repeat(ctx, func() {
		if _, err := n.store.MakePartitions(ctx); err != nil && ctx.Err() == nil {
			n.deps.Log.Warn("partitions of the telemetry were not all made; rows go to the rest meanwhile", "error", err)
		}
		n.countPartitions(ctx)
	})
}

// sums makes the sums of the minutes and hours that have ended, and has the
// indexes of partitions built that take no more rows, while this node holds the
// lease. The transactions that write the sums are fenced.
func (n *Node) sums(ctx context.Context, l *cluster.Lease) {
	n.repeat(ctx, func() {
		err := n.store.Sum(ctx, func(ctx context.Context, tx *database.Tx) error { return n.member.Fence(ctx, tx, l) })
		if err != nil && ctx.Err() == nil {
			n.deps.Log.Warn("the sums of the telemetry were not all made", "error", err)
		}
		if err := n.askForIndexes(ctx); err != nil && ctx.Err() == nil {
			n.deps.Log.Warn("indexes of the telemetry are not built yet", "error", err)
		}
	})
}

// repeat does something at once, and then again and again.
func (n *Node) repeat(ctx context.Context, do func()) {
	tick := time.NewTicker(sumEvery)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// countPartitions has the metrics tell how many partitions there are of each
// table, and how far ahead they reach.
func (n *Node) countPartitions(ctx context.Context) {
	spans, err := n.store.Spans(ctx)
	if err != nil {
		return // which the next attempt to make some tells of
	}
	for _, p := range spans {
		n.parts.WithLabelValues(p.Table).Set(float64(p.Partitions))
		n.ahead.WithLabelValues(p.Table).Set(p.To.Sub(n.deps.Now()).Seconds())
	}
}
