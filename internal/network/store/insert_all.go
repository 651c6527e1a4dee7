package store

import (
	"context"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// InsertAll writes all rows of several reports in the transaction, as Insert
// does those of one.
func (s *Store) InsertAll(ctx context.Context, tx *database.Tx, reports []*network.Report) error {
	for _, r := range reports {
		if err := s.Insert(ctx, tx, r); err != nil {
			return err
		}
	}
	return nil
}
