package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// keepPeriods is how many periods of each work are remembered.
const keepPeriods = 1000

// Once does work for the period that the database's clock is in, under a
// lease, unless it was done already, by whomever. fn runs in the transaction
// that writes down that it was, and may be nil: work that does not fit into
// one transaction is done after Once returned true, and is then done at most
// once for the period.
func (m *Member) Once(ctx context.Context, l *Lease, work string, period time.Duration, fn func(tx *database.Tx, begin time.Time) error) (ran bool, err error) {
	now := m.clock()
	us := period.Microseconds()
	err = m.Fenced(ctx, l, func(tx *database.Tx) error {
		ran = false
		var begin int64
		err := tx.QueryRow(ctx, `INSERT INTO periods (name, period_us, node, done_us)
			SELECT $1, t.now / $2 * $3, $4, t.now FROM (SELECT `+now+` AS now) AS t WHERE 1 = 1
			ON CONFLICT (name, period_us) DO NOTHING RETURNING period_us`, work, us, us, m.id).Scan(&begin)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM periods WHERE name = $1 AND period_us < $2`, work, begin-keepPeriods*us); err != nil {
			return err
		}
		ran = true
		if fn == nil {
			return nil
		}
		return fn(tx, database.FromMicros(begin))
	})
	if err != nil {
		return false, fmt.Errorf("doing %s for this period: %w", work, err)
	}
	if ran {
		m.metrics.periods.WithLabelValues(work).Inc()
	}
	return ran, nil
}

// Periodic holds a lease of the work's name and does the work once in each
// period, on one process of all; it runs until the context ends. The work is
// given the begin of the period, and its lease for Fenced. A period that went
// by while nobody could work is left out.
func (m *Member) Periodic(ctx context.Context, work string, period time.Duration, do func(ctx context.Context, l *Lease, begin time.Time) error) {
	m.Hold(ctx, work, func(ctx context.Context, l *Lease) {
		for {
			var begin time.Time
			ran, err := m.Once(ctx, l, work, period, func(_ *database.Tx, b time.Time) error {
				begin = b
				return nil
			})
			if err == nil && ran {
				err = do(ctx, l, begin)
			}
			if err != nil && ctx.Err() == nil {
				m.metrics.failed.WithLabelValues(work).Inc()
				m.deps.Log.Warn("periodic work failed; it is done again in its next period", "work", work, "error", err)
			}
			// Asked a few times in each period, since it is the database's clock that counts.
			if !pause(ctx, min(period/4, time.Minute), nil) {
				return
			}
		}
	})
}
