package store

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// edges returns the oldest and the newest time of a table's rows; ok is false
// when it has none.
func (s *Store) edges(ctx context.Context, p part) (oldest, newest int64, ok bool, err error) {
	have, err := partitions(ctx, s.db, p.table, math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, 0, false, err
	}
	oldest, newest = math.MaxInt64, math.MinInt64
	take := func(text string, args ...any) (bool, error) {
		var low, high sql.NullInt64
		err := s.db.QueryRow(ctx, text, args...).Scan(&low, &high)
		if low.Valid {
			oldest, newest, ok = min(oldest, low.Int64), max(newest, high.Int64), true
		}
		return low.Valid, err
	}
	minMax := "SELECT (SELECT MIN(" + p.column + ") FROM TABLE_), (SELECT MAX(" + p.column + ") FROM TABLE_)"
	if _, err := take(strings.ReplaceAll(minMax, "TABLE_", p.rest())); err != nil {
		return 0, 0, false, err
	}
	for _, backward := range [...]bool{false, true} {
		if backward {
			slices.Reverse(have)
		}
		for _, one := range have {
			found, err := s.edge(p, one, backward, minMax, take)
			if err != nil {
				return 0, 0, false, err
			}
			if found {
				break
			}
		}
	}
	return oldest, newest, ok, nil
}

// edge looks for the first or the last row of a partition. PostgreSQL has an
// index of ranges of time, so it is asked for ever longer ones.
func (s *Store) edge(p part, one Partition, backward bool, minMax string, take func(string, ...any) (bool, error)) (bool, error) {
	if s.db.Engine() == database.SQLite || one.before() { // these have an index in order
		return take(strings.ReplaceAll(minMax, "TABLE_", one.Name))
	}
	now := s.now().Add(ahead).UnixMicro()
	if backward && one.fromUS > now {
		return false, nil
	}
	for width := time.Minute.Microseconds(); ; width *= windowGrowth {
		from, to := one.fromUS, min(one.toUS, one.fromUS+width)
		if backward {
			to = min(one.toUS, now)
			from = max(one.fromUS, to-width)
		}
		found, err := take("SELECT MIN("+p.column+"), MAX("+p.column+") FROM "+one.Name+" WHERE "+p.column+" >= $1 AND "+p.column+" < $2", from, to)
		if found || err != nil || from == one.fromUS && to >= min(one.toUS, now) {
			return found, err
		}
	}
}
