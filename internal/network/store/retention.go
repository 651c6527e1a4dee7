package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/record"
)

// Retention is how long each kind of row is kept.
type Retention struct {
	Flows   time.Duration `yaml:"flows" help:"how long flows, DNS queries and TLS hellos are kept"`
	Records time.Duration `yaml:"records" help:"how long records of every other kind are kept"`
	Kinds   []Keep        `yaml:"kinds" help:"kinds of records that are kept for another time"`
	Ledgers time.Duration `yaml:"ledgers" help:"how long ledgers and gaps are kept"`
	Traffic time.Duration `yaml:"traffic" help:"how long traffic per minute is kept"`
	Names   time.Duration `yaml:"names" help:"how long a name is kept after it was last seen"`
}

// Keep is how long the records of one kind are kept.
type Keep struct {
	Kind string        `yaml:"kind" help:"name of the kind, as rind record list shows it"`
	Keep time.Duration `yaml:"keep" help:"how long its records are kept"`
}

// Of is how long the rows of a kind are kept.
func (r Retention) Of(k Kind) time.Duration {
	switch k.Name {
	case KindFlows, KindDNS, KindTLS:
		return r.Flows
	case KindLedgers, KindGaps:
		return r.Ledgers
	}
	for _, one := range r.Kinds {
		if one.Kind == k.Name {
			return one.Keep
		}
	}
	return r.Records
}

// DefaultRetention keeps rows for 30 days, and sums and names for longer.
func DefaultRetention() Retention {
	return Retention{Flows: 30 * day, Records: 30 * day, Ledgers: 90 * day, Traffic: 400 * day, Names: 90 * day}
}

// Validate says what is wrong.
func (r Retention) Validate() error {
	for key, d := range map[string]time.Duration{"flows": r.Flows, "records": r.Records, "ledgers": r.Ledgers, "traffic": r.Traffic, "names": r.Names} {
		if d < time.Hour {
			return errs.New(errs.Invalid, "retention.%s is %s: choose at least 1h", key, d)
		}
	}
	seen := map[string]bool{}
	for _, one := range r.Kinds {
		switch _, ok := record.Find(one.Kind); {
		case !ok:
			return errs.New(errs.Invalid, "retention.kinds: there is no kind of records %.64q; rind record list shows those that there are", one.Kind)
		case seen[one.Kind]:
			return errs.New(errs.Invalid, "retention.kinds names %q twice", one.Kind)
		case one.Keep < time.Hour:
			return errs.New(errs.Invalid, "retention.kinds keeps %s for %s: choose at least 1h", one.Kind, one.Keep)
		}
		seen[one.Kind] = true
	}
	return nil
}

// slice is the time that one DELETE covers, so that each is short.
const slice = 10 * time.Minute

// Delete removes what is older than its retention, in short transactions, and
// returns how many rows of each table went.
func (s *Store) Delete(ctx context.Context, r Retention) (map[string]int64, error) {
	gone := map[string]int64{}
	tables := []aging{
		{"traffic_minutes", "minute_us", r.Traffic}, {"dns_names", "last_us", r.Names}, {"tls_names", "last_us", r.Names},
	}
	for _, k := range Kinds() {
		tables = append(tables, aging{k.Table, k.Time, r.Of(k)})
		// The day in which the retention ends is still counted.
		if _, err := s.db.Exec(ctx, `DELETE FROM kind_days WHERE kind = $1 AND day_us < $2`,
			k.Name, s.now().Add(-r.Of(k)-day).UnixMicro()); err != nil {
			return gone, fmt.Errorf("deleting the counts of old rows of %s: %w", k.Name, err)
		}
	}
	for _, t := range tables {
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

// aging is a table whose rows go when the time in a column is too long ago.
type aging struct {
	table, column string
	keep          time.Duration
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
