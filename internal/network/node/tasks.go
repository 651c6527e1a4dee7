package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/node/cluster"
	"github.com/rind-project/rind/internal/network/store"
)

// Tasks that the holders of leases add, and that any node does.
const (
	trimTask  = "trim"  // delete a tenant's rows from a partition
	indexTask = "index" // build the further indexes of a partition that takes no more rows
)

// handleTasks says what this node does of tasks.
func (n *Node) handleTasks() {
	n.member.Handle(trimTask, func(ctx context.Context, t cluster.Task) error {
		trim, err := store.ParseTrim(t.Subject)
		if err != nil {
			return err
		}
		owners, err := n.ingest.Owners(ctx)
		if err != nil {
			return err
		}
		rows, err := n.store.Trim(ctx, trim, owners)
		n.swept.WithLabelValues(n.store.TableOf(trim.Partition)).Add(float64(rows))
		return err
	})
	n.member.Handle(indexTask, func(ctx context.Context, t cluster.Task) error {
		_, err := n.store.IndexPartition(ctx, t.Subject)
		return err
	})
}

// askForTrims adds a task for each partition that holds what a tenant's
// retention lets go.
func (n *Node) askForTrims(ctx context.Context) error {
	return n.ask(ctx, trimTask, func() ([]string, error) {
		owners, err := n.ingest.Owners(ctx)
		if err != nil {
			return nil, err
		}
		trims, err := n.store.Trims(ctx, n.cfg.Retention, owners)
		subjects := make([]string, len(trims))
		for i, t := range trims {
			subjects[i] = t.Subject()
		}
		return subjects, err
	})
}

// askForIndexes adds a task for each partition that takes no more rows and
// lacks indexes.
func (n *Node) askForIndexes(ctx context.Context) error {
	return n.ask(ctx, indexTask, func() ([]string, error) { return n.store.Unindexed(ctx) })
}

// ask adds a task for whatever is found to want one and had none before it was
// looked for: one that ends meanwhile has left nothing to do.
func (n *Node) ask(ctx context.Context, kind string, find func() ([]string, error)) error {
	asked, err := n.member.Asked(ctx, kind)
	if err != nil {
		return err
	}
	subjects, err := find()
	if err != nil {
		return err
	}
	subjects = slices.DeleteFunc(subjects, func(s string) bool { return asked[s] })
	if len(subjects) == 0 {
		return nil
	}
	err = n.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		for _, subject := range subjects {
			if err := n.member.Add(ctx, tx, kind, subject); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("adding tasks: %w", err)
	}
	return nil
}
