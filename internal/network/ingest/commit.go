package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// Commit writes a report in one transaction, unless a report with its identity
// is there already. It returns after the commit.
func (s *Service) Commit(ctx context.Context, r *network.Report) (fresh bool, err error) {
	began := time.Now()
	health, err := json.Marshal(r.Health)
	if err != nil {
		return false, fmt.Errorf("encoding the health of tap %q: %w", r.Tap, err)
	}
	err = s.db.Tx(ctx, func(tx *database.Tx) error {
		fresh = false
		if err := s.admitted(ctx, tx, r.Tap); err != nil {
			return err
		}
		now := database.Micros(s.now())
		n, err := tx.Exec(ctx, `INSERT INTO reports (tap, boot, sequence, end_us, received_us) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tap, boot, sequence) DO NOTHING`, string(r.Tap), r.Boot, int64(r.Sequence), database.Micros(r.End), now)
		if err != nil || n == 0 {
			return err
		}
		fresh = true
		if err := s.store.Insert(ctx, tx, r); err != nil {
			return err
		}
		// Last, since it locks the tap's row until the commit. A retried old
		// report does not replace the health of a newer one.
		_, err = tx.Exec(ctx, `UPDATE taps SET reports = reports + 1, last_report_us = $1,
			health = CASE WHEN last_end_us <= $2 THEN $3 ELSE health END,
			last_end_us = CASE WHEN last_end_us < $4 THEN $5 ELSE last_end_us END WHERE name = $6`,
			now, database.Micros(r.End), string(health), database.Micros(r.End), database.Micros(r.End), string(r.Tap))
		return err
	})
	if err != nil {
		return false, err
	}
	s.metrics.took.Observe(time.Since(began).Seconds())
	return fresh, nil
}
