package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Retention is how long each kind of row is kept.
type Retention struct {
	Flows   time.Duration `yaml:"flows" help:"how long flows, DNS queries and TLS hellos are kept"`
	Ledgers time.Duration `yaml:"ledgers" help:"how long ledgers and gaps are kept"`
	Traffic time.Duration `yaml:"traffic" help:"how long traffic per minute is kept"`
	Names   time.Duration `yaml:"names" help:"how long a name is kept after it was last seen"`
}

// DefaultRetention keeps rows for 30 days, and sums and names for longer.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Flows: 30 * day, Ledgers: 90 * day, Traffic: 400 * day, Names: 90 * day}
}

// Validate says what is wrong.
func (r Retention) Validate() error {
	for key, d := range map[string]time.Duration{"flows": r.Flows, "ledgers": r.Ledgers, "traffic": r.Traffic, "names": r.Names} {
		if d < time.Hour {
			return errs.New(errs.Invalid, "retention.%s is %s: choose at least 1h", key, d)
		}
	}
	return nil
}

// slice is the time that one DELETE covers, so that each is short.
const slice = 10 * time.Minute

// Delete removes what is older than its retention, in short transactions, and
// returns how many rows of each table went.
func (s *Store) Delete(ctx context.Context, r Retention) (map[string]int64, error) {
	gone := map[string]int64{}
	for _, t := range []struct {
		table, column string
		keep          time.Duration
	}{
		{"flows", "start_us", r.Flows}, {"dns_queries", "time_us", r.Flows}, {"tls_hellos", "time_us", r.Flows},
		{"ledgers", "end_us", r.Ledgers}, {"gaps", "to_us", r.Ledgers}, {"traffic_minutes", "minute_us", r.Traffic},
		{"dns_names", "last_us", r.Names}, {"tls_names", "last_us", r.Names},
	} {
		n, err := s.deleteBefore(ctx, t.table, t.column, s.now().Add(-t.keep).UnixMicro())
		if n > 0 {
			gone[t.table] = n
		}
		if err != nil {
			return gone, fmt.Errorf("deleting old rows of %s: %w", t.table, err)
		}
	}
	return gone, nil
}

func (s *Store) deleteBefore(ctx context.Context, table, column string, cutoff int64) (int64, error) {
	var total int64
	for {
		var oldest sql.NullInt64
		if err := s.db.QueryRow(ctx, "SELECT MIN("+column+") FROM "+table).Scan(&oldest); err != nil {
			return total, err
		}
		if !oldest.Valid || oldest.Int64 >= cutoff {
			return total, nil
		}
		n, err := s.db.Exec(ctx, "DELETE FROM "+table+" WHERE "+column+" < $1", min(cutoff, oldest.Int64+slice.Microseconds()))
		if err != nil {
			return total, err
		}
		total += n
	}
}
