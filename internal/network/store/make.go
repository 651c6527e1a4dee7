package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// MakePartitions makes the partitions of now and of the time ahead on
// PostgreSQL, and those of older rows that the rest has taken. On SQLite rows
// make theirs when they are written. It returns how many were made.
//
// It needs no lease: who comes second finds that there is nothing to do.
func (s *Store) MakePartitions(ctx context.Context) (int, error) {
	if err := s.forgetMissing(ctx); err != nil {
		return 0, err
	}
	if s.db.Engine() == database.SQLite {
		return 0, s.sameColumns(ctx)
	}
	rows, err := s.rowsPerDay(ctx)
	if err != nil {
		return 0, err
	}
	made := 0
	for _, p := range parts() {
		n, err := s.makeAhead(ctx, p, rows[p.kind])
		made += n
		if err != nil {
			return made, fmt.Errorf("making partitions of %s: %w", p.table, err)
		}
	}
	return made, nil
}

// forgetMissing takes partitions off the list that are not there, as after a
// move from a database that had others.
func (s *Store) forgetMissing(ctx context.Context) error {
	there := `SELECT 1 FROM sqlite_master m WHERE m.type = 'table' AND m.name = partitions.name`
	if s.db.Engine() == database.PostgreSQL {
		there = `SELECT 1 FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relnamespace = current_schema()::regnamespace AND c.relname::text = partitions.name`
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM partitions WHERE NOT EXISTS (`+there+`)`); err != nil {
		return fmt.Errorf("comparing the list of partitions with those that are there: %w", err)
	}
	return nil
}

// rowsPerDay is how many rows of each kind the busier of the last two days has.
func (s *Store) rowsPerDay(ctx context.Context) (map[string]int64, error) {
	type count struct {
		kind string
		rows int64
	}
	counts, err := list(ctx, s.db, `SELECT kind, MAX(n) FROM (SELECT kind, day_us, CAST(SUM(seen) AS BIGINT) AS n FROM kind_days WHERE day_us >= $1 GROUP BY 1, 2) AS days GROUP BY kind`,
		[]any{s.now().Add(-2 * day).UnixMicro()}, func(row scanner) (c count, err error) {
			err = row.Scan(&c.kind, &c.rows)
			return c, err
		})
	if err != nil {
		return nil, fmt.Errorf("counting the rows of a day: %w", err)
	}
	out := map[string]int64{}
	for _, c := range counts {
		out[c.kind] = c.rows
	}
	return out, nil
}

// lockTimeout bounds how long a change of the partitions makes others wait
// while it waits for a reader itself; then it is tried again.
const (
	lockTimeout  = "SET LOCAL lock_timeout = '300ms'"
	lockAttempts = 20
)

// changing runs f in a transaction that waits for no lock for long.
func (s *Store) changing(ctx context.Context, f func(*database.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.db.Tx(ctx, func(tx *database.Tx) error {
			if tx.Engine() == database.PostgreSQL {
				if _, err := tx.Exec(ctx, lockTimeout); err != nil {
					return err
				}
			}
			return f(tx)
		})
		if err == nil || !database.IsLocked(err) || attempt == lockAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Duration(attempt) * 50 * time.Millisecond):
		}
	}
}

// lateBuckets bounds the partitions that one call makes for old rows.
const lateBuckets = 32

func (s *Store) makeAhead(ctx context.Context, p part, rows int64) (int, error) {
	have, err := partitions(ctx, s.db, p.table, math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	keep := p.keep(s.retention)
	width := p.width(s.how, keep, rows)
	now := s.now()
	made := 0
	add := func(at int64) error {
		from, to, ok := free(have, at, width)
		if !ok {
			return nil
		}
		err := s.changing(ctx, func(tx *database.Tx) error {
			// Another process may have been here: the list is what counts.
			if _, err := tx.Exec(ctx, "LOCK TABLE partitions IN SHARE ROW EXCLUSIVE MODE"); err != nil {
				return err
			}
			latest, err := partitions(ctx, tx, p.table, from, to)
			if err != nil || len(latest) > 0 {
				return err
			}
			_, err = s.create(ctx, tx, p, from, to, width)
			return err
		})
		if err != nil {
			return err
		}
		made++
		have = append(have, Partition{fromUS: from, toUS: to})
		slices.SortFunc(have, func(a, b Partition) int { return cmp.Compare(a.fromUS, b.fromUS) })
		return nil
	}
	for at := now.UnixMicro(); at < now.Add(max(ahead, width+day)).UnixMicro(); {
		if err := add(at); err != nil {
			return made, err
		}
		i := slices.IndexFunc(have, func(p Partition) bool { return p.fromUS <= at && at < p.toUS })
		if at = have[i].toUS; width == hour && at > now.Add(day).UnixMicro() {
			break
		}
	}
	return made, s.makeLate(ctx, p, now.Add(-keep).UnixMicro(), add)
}

// makeLate makes partitions for the rows that the rest holds.
func (s *Store) makeLate(ctx context.Context, p part, oldest int64, add func(at int64) error) error {
	for range lateBuckets {
		var at *int64
		err := s.db.QueryRow(ctx, "SELECT MIN("+p.column+") FROM "+p.rest()+" WHERE "+p.column+" >= $1 AND "+p.column+" < $2",
			oldest, s.now().Add(ahead).UnixMicro()).Scan(&at)
		if err != nil || at == nil {
			return err
		}
		if err := add(*at); err != nil {
			return err
		}
		oldest = *at + hour.Microseconds()
	}
	return nil
}

// Unindexed names the partitions that take no more rows and lack indexes, from
// old to new.
func (s *Store) Unindexed(ctx context.Context) ([]string, error) {
	closed := s.now().Add(-10 * time.Minute).UnixMicro()
	all, err := partitions(ctx, s.db, "", math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p Partition) bool { return p.indexed || p.toUS > closed })
	slices.SortStableFunc(all, func(a, b Partition) int { return cmp.Compare(a.toUS, b.toUS) })
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name
	}
	return names, nil
}

// Index builds the indexes of all of those, and says how many.
func (s *Store) Index(ctx context.Context) (int, error) {
	names, err := s.Unindexed(ctx)
	built := 0
	for _, name := range names {
		n, err := s.IndexPartition(ctx, name)
		built += n
		if err != nil {
			return built, err
		}
	}
	return built, err
}

// IndexPartition builds the indexes of a partition, without keeping anyone from
// reading or writing it, and says how many. What a call that was broken off has
// left is built anew; a partition that was dropped meanwhile needs none.
func (s *Store) IndexPartition(ctx context.Context, name string) (int, error) {
	all, err := partitions(ctx, s.db, "", math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(all, func(p Partition) bool { return p.Name == name })
	if i < 0 || all[i].indexed {
		return 0, nil
	}
	one, p := all[i], partOf(all[i].Table)
	for built, column := range p.later {
		if err := s.index(ctx, p, one, column); err != nil {
			return built, fmt.Errorf("building an index of %s: %w", one.Name, err)
		}
	}
	if s.db.Engine() == database.PostgreSQL {
		if _, err := s.db.Exec(ctx, "ANALYZE "+one.Name); err != nil {
			return len(p.later), fmt.Errorf("looking at the values of %s: %w", one.Name, err)
		}
	}
	_, err = s.db.Exec(ctx, `UPDATE partitions SET indexed = 1 WHERE name = $1`, one.Name)
	return len(p.later), err
}

// TableOf is the table that a partition of that name is of, by its name alone.
func (s *Store) TableOf(partition string) string {
	for _, p := range parts() {
		if strings.HasPrefix(partition, p.table+"_p") || partition == p.table+"_before" {
			return p.table
		}
	}
	return partition
}

func (s *Store) index(ctx context.Context, p part, one Partition, column string) error {
	name := indexName(one.Name, column)
	text := "CREATE INDEX IF NOT EXISTS " + name + " ON " + one.Name + ` ("` + column + `", ` + p.column + ")"
	if s.db.Engine() == database.PostgreSQL {
		var broken bool
		err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE c.relname = $1 AND c.relnamespace = current_schema()::regnamespace AND NOT i.indisvalid)`, name).Scan(&broken)
		if err != nil {
			return err
		}
		if broken {
			if _, err := s.db.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name); err != nil {
				return err
			}
		}
		text = strings.Replace(text, "CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)
	}
	_, err := s.db.Exec(ctx, text)
	return err
}

// sameColumns gives the partitions of SQLite the columns that a migration has
// added to the rest.
func (s *Store) sameColumns(ctx context.Context) error {
	for _, p := range parts() {
		have, err := partitions(ctx, s.db, p.table, math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		want, err := s.columnsOf(ctx, p.rest())
		if err != nil {
			return err
		}
		for _, one := range have {
			got, err := s.columnsOf(ctx, one.Name)
			if err != nil {
				return err
			}
			for i := len(got); i < len(want); i++ {
				if _, err := s.db.Exec(ctx, "ALTER TABLE "+one.Name+" ADD COLUMN "+want[i]); err != nil {
					return fmt.Errorf("adding a column to %s: %w", one.Name, err)
				}
			}
		}
	}
	return nil
}

// columnsOf returns how each column of a SQLite table is defined.
func (s *Store) columnsOf(ctx context.Context, table string) ([]string, error) {
	return list(ctx, s.db, `SELECT name, type, "notnull", dflt_value FROM pragma_table_info($1) ORDER BY cid`, []any{table}, func(row scanner) (string, error) {
		var name, kind string
		var notNull bool
		var otherwise *string
		if err := row.Scan(&name, &kind, &notNull, &otherwise); err != nil {
			return "", err
		}
		text := `"` + name + `" ` + kind
		if notNull {
			text += " NOT NULL"
		}
		if otherwise != nil {
			text += " DEFAULT " + *otherwise
		}
		return text, nil
	})
}
