package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// occupied are the partitions in which the oldest and the newest rows of the
// tables are, by table, from old to new, and the rests that have rows.
type occupied struct {
	parts map[string][]Partition
	rests map[string]bool
}

// occupied finds them. PostgreSQL knows without looking into a partition
// whether it ever had rows; on SQLite all are named.
func (s *Store) occupied(ctx context.Context) (occupied, error) {
	if s.db.Engine() == database.SQLite {
		return s.allOccupied(ctx)
	}
	out := occupied{map[string][]Partition{}, map[string]bool{}}
	const has = `SELECT q.name, q.from_us, q.to_us FROM partitions q WHERE q.parent = p.parent AND pg_relation_size(to_regclass(quote_ident(q.name))) > 0 ORDER BY q.from_us`
	_, err := list(ctx, s.db, `SELECT p.parent, e.name, e.from_us, e.to_us FROM (SELECT DISTINCT parent FROM partitions) AS p
		CROSS JOIN LATERAL ((`+has+` LIMIT 1) UNION (`+has+` DESC LIMIT 1)) AS e
		UNION ALL SELECT '', c.relname::text, 0, 0 FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE '%\_rest' AND pg_relation_size(c.oid) > 0 ORDER BY 1, 3`, nil,
		func(row scanner) (struct{}, error) {
			var p Partition
			err := row.Scan(&p.Table, &p.Name, &p.fromUS, &p.toUS)
			if p.Table == "" {
				out.rests[p.Name] = true
			} else {
				out.parts[p.Table] = append(out.parts[p.Table], p)
			}
			return struct{}{}, err
		})
	if err != nil {
		return out, fmt.Errorf("looking for partitions with rows: %w", err)
	}
	return out, nil
}

func (s *Store) allOccupied(ctx context.Context) (occupied, error) {
	out := occupied{map[string][]Partition{}, map[string]bool{}}
	have, err := partitions(ctx, s.db, "", math.MinInt64, math.MaxInt64)
	for _, p := range have {
		out.parts[p.Table] = append(out.parts[p.Table], p)
	}
	for _, p := range parts() {
		out.rests[p.rest()] = true
	}
	return out, err
}

// edges returns the oldest and the newest time of a table's rows; ok is false
// when it has none.
func (s *Store) edges(ctx context.Context, p part, in occupied) (oldest, newest int64, ok bool, err error) {
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
	if in.rests[p.rest()] {
		if _, err := take(strings.ReplaceAll(minMax, "TABLE_", p.rest())); err != nil {
			return 0, 0, false, err
		}
	}
	have := slices.Clone(in.parts[p.table])
	for _, backward := range [...]bool{false, true} {
		if backward {
			slices.Reverse(have)
		}
		for _, one := range have {
			found, err := s.edge(ctx, p, one, backward, minMax, take)
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
// index of ranges of time and none in order. Rows are appended roughly as time
// goes by, so that hardly any is older than the one that it finds first, and
// the newest are looked for in ever longer ranges from now back.
func (s *Store) edge(ctx context.Context, p part, one Partition, backward bool, minMax string, take func(string, ...any) (bool, error)) (bool, error) {
	if s.db.Engine() == database.SQLite || one.before() { // these have an index in order
		return take(strings.ReplaceAll(minMax, "TABLE_", one.Name))
	}
	within := "SELECT MIN(" + p.column + "), MAX(" + p.column + ") FROM " + one.Name + " WHERE " + p.column + " >= $1 AND " + p.column + " < $2"
	if !backward {
		var first int64
		err := s.db.QueryRow(ctx, "SELECT "+p.column+" FROM "+one.Name+" LIMIT 1").Scan(&first)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil // all were deleted
		}
		if err != nil {
			return false, err
		}
		return take(within, one.fromUS, first+1)
	}
	now := s.now().UnixMicro()
	to := min(one.toUS, s.now().Add(ahead).UnixMicro())
	if one.fromUS > to {
		return false, nil
	}
	// The clocks of taps may be ahead, but hardly any row is newer than now.
	for width := time.Minute.Microseconds(); ; width *= windowGrowth {
		from := max(one.fromUS, min(to, now)-width)
		found, err := take(within, from, to)
		if found || err != nil || from == one.fromUS {
			return found, err
		}
		to = from
	}
}
