package node

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// sweepLease names the lease under which old rows are deleted.
const sweepLease = "retention"

// acquire takes a lease, or renews it, for a term by the database's clock. The
// epoch rises with each change of the holder; ok is false while another node
// holds it.
func (n *Node) acquire(ctx context.Context, name string, term time.Duration) (epoch int64, ok bool, err error) {
	now := clock(n.deps.DB.Engine())
	err = n.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		row := tx.QueryRow(ctx, `INSERT INTO leases AS l (name, holder, epoch, until_us) VALUES ($1, $2, 1, `+now+` + $3)
			ON CONFLICT (name) DO UPDATE SET
				epoch = CASE WHEN l.holder = excluded.holder THEN l.epoch ELSE l.epoch + 1 END,
				holder = excluded.holder, until_us = excluded.until_us
			WHERE l.holder = excluded.holder OR l.until_us < `+now+`
			RETURNING epoch`, name, n.id, term.Microseconds())
		err := row.Scan(&epoch)
		if errors.Is(err, sql.ErrNoRows) {
			ok = false
			return nil
		}
		ok = err == nil
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("taking the lease %q: %w", name, err)
	}
	return epoch, ok, nil
}

// sumLease names the lease under which the sums of minutes and hours are made.
const (
	sumLease = "sums"
	sumEvery = 30 * time.Second
)

// partition makes the partitions of the time ahead. Every node may.
func (n *Node) partition(ctx context.Context) {
	if _, err := n.store.MakePartitions(ctx); err != nil && ctx.Err() == nil {
		n.deps.Log.Warn("partitions of the telemetry were not all made; rows go to the rest meanwhile", "error", err)
	}
}

// sums makes the sums of the minutes and hours that have ended, when this node
// holds the lease, and the indexes of partitions that take no more rows. The
// epoch is checked in the transactions that write the sums.
func (n *Node) sums(ctx context.Context) {
	n.partition(ctx)
	epoch, ok, err := n.acquire(ctx, sumLease, 4*sumEvery)
	if err == nil && ok {
		err = n.store.Maintain(ctx, func(ctx context.Context, tx *database.Tx) error { return n.fence(ctx, tx, sumLease, epoch) })
	}
	if err != nil && ctx.Err() == nil {
		n.deps.Log.Warn("the sums of the telemetry were not all made", "error", err)
	}
}

// fence refuses the transaction of a node that no longer holds the lease.
func (n *Node) fence(ctx context.Context, tx *database.Tx, name string, epoch int64) error {
	var held int64
	now := clock(n.deps.DB.Engine())
	err := tx.QueryRow(ctx, `UPDATE leases SET epoch = epoch WHERE name = $1 AND holder = $2 AND epoch = $3 AND until_us > `+now+` RETURNING epoch`, name, n.id, epoch).Scan(&held)
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.Conflict, "the lease %q has gone to another node", name)
	}
	return err
}

// sweep deletes what is older than its retention, when this node holds the
// lease. Deleting twice does no harm, so the epoch is not checked here.
func (n *Node) sweep(ctx context.Context) {
	_, ok, err := n.acquire(ctx, sweepLease, 2*n.cfg.Sweep)
	if err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			n.deps.Log.Warn("old rows were not deleted", "error", err)
		}
		return
	}
	gone, err := n.store.Delete(ctx, n.cfg.Retention)
	if err == nil {
		gone["reports"], err = n.ingest.Purge(ctx)
	}
	for table, rows := range gone {
		n.swept.WithLabelValues(table).Add(float64(rows))
	}
	if err != nil && ctx.Err() == nil {
		n.deps.Log.Warn("old rows were not all deleted", "error", err)
	}
}
