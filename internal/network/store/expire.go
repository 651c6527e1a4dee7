package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// slice is the time that one DELETE covers, so that each is short. Only rows
// that no partition of their own holds, names and small sums are deleted by
// row.
const slice = 10 * time.Minute

// Delete removes what is older than its retention and, beyond the size that is
// allowed, the oldest partitions. It returns how many rows of each table went.
func (s *Store) Delete(ctx context.Context, r Retention) (map[string]int64, error) {
	gone := map[string]int64{}
	for _, p := range parts() {
		n, err := s.expire(ctx, p, s.now().Add(-p.keep(r)).UnixMicro())
		if n > 0 {
			gone[p.table] = n
		}
		if err != nil {
			return gone, fmt.Errorf("deleting old rows of %s: %w", p.table, err)
		}
	}
	if err := s.shrink(ctx, r, gone); err != nil {
		return gone, fmt.Errorf("deleting rows beyond the size that is allowed: %w", err)
	}
	for _, t := range []struct {
		table, column string
		keep          time.Duration
	}{
		{"dns_names", "last_us", r.Names}, {"tls_names", "last_us", r.Names},
		{"traffic_hours", "hour_us", r.Traffic}, {"ledger_hours", "hour_us", r.Ledgers}, {"top_hours", "hour_us", r.Hosts},
		{"top_minutes", "minute_us", topMinutes}, {"dirty_minutes", "minute_us", max(r.LongestFlows(), r.Ledgers) + day},
		{"rolled", "begin_us", r.Traffic},
	} {
		n, err := s.deleteBefore(ctx, t.table, t.column, s.now().Add(-t.keep).UnixMicro())
		if n > 0 {
			gone[t.table] = n
		}
		if err != nil {
			return gone, fmt.Errorf("deleting old rows of %s: %w", t.table, err)
		}
	}
	return gone, s.forgetDays(ctx, r)
}

// forgetDays deletes the counts of days of which no row is left. The day in
// which the retention ends is still counted.
func (s *Store) forgetDays(ctx context.Context, r Retention) error {
	for _, k := range Kinds() {
		cutoff := s.now().Add(-r.longest(k) - day).UnixMicro()
		var dropped sql.NullInt64
		if err := s.db.QueryRow(ctx, `SELECT MAX(until_us) FROM dropped WHERE parent = $1`, k.Table).Scan(&dropped); err != nil {
			return err
		}
		if dropped.Valid {
			cutoff = max(cutoff, dropped.Int64-day.Microseconds()+1)
		}
		if _, err := s.db.Exec(ctx, `DELETE FROM kind_days WHERE kind = $1 AND day_us < $2`, k.Name, cutoff); err != nil {
			return fmt.Errorf("deleting the counts of old rows of %s: %w", k.Name, err)
		}
	}
	return nil
}

// expire drops the partitions of a table that end before a time, and deletes
// the older rows of those that have no range of their own.
func (s *Store) expire(ctx context.Context, p part, cutoff int64) (int64, error) {
	have, err := partitions(ctx, s.db, p.table, math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	total, err := s.deleteBefore(ctx, p.rest(), p.column, cutoff)
	if err != nil {
		return total, err
	}
	for _, one := range have {
		var n int64
		switch {
		case one.toUS <= cutoff:
			n, err = s.drop(ctx, p, one)
		case one.before():
			n, err = s.deleteBefore(ctx, one.Name, p.column, cutoff)
		}
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// drop drops a partition and returns how many rows it held.
func (s *Store) drop(ctx context.Context, p part, one Partition) (int64, error) {
	var rows int64
	err := s.changing(ctx, func(tx *database.Tx) error {
		var there int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM partitions WHERE name = $1`, one.Name).Scan(&there)
		if err != nil || there == 0 { // another node was faster
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT COUNT(*) FROM "+one.Name).Scan(&rows); err != nil {
			return err
		}
		var statements []string
		if tx.Engine() == database.SQLite {
			have, err := partitions(ctx, tx, p.table, math.MinInt64, math.MaxInt64)
			if err != nil {
				return err
			}
			statements = p.view(slices.DeleteFunc(have, func(p Partition) bool { return p.Name == one.Name }))
		}
		for _, text := range append(statements, "DROP TABLE "+one.Name, "DELETE FROM partitions WHERE name = '"+one.Name+"'",
			"DELETE FROM trimmed WHERE partition = '"+one.Name+"'") {
			if _, err := tx.Exec(ctx, text); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO dropped AS d (parent, until_us) VALUES ($1, $2)
			ON CONFLICT (parent) DO UPDATE SET until_us = CASE WHEN excluded.until_us > d.until_us THEN excluded.until_us ELSE d.until_us END`, p.table, one.toUS)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("dropping the partition %s: %w", one.Name, err)
	}
	return rows, nil
}

// shrink drops the oldest partitions of kinds that take more than they may,
// and then the oldest of all until all together take no more than they may.
// The partition that takes rows now is never dropped.
func (s *Store) shrink(ctx context.Context, r Retention, gone map[string]int64) error {
	if r.MaxBytes == 0 && !slices.ContainsFunc(r.Kinds, func(k Keep) bool { return k.MaxBytes > 0 }) {
		return nil
	}
	report, err := s.measure(ctx)
	if err != nil {
		return err
	}
	for _, one := range s.surplus(r, report) {
		p := partOf(one.Table)
		n, err := s.drop(ctx, p, one)
		if n > 0 {
			gone[p.table] += n
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// surplus names the partitions that the allowed sizes leave no room for.
func (s *Store) surplus(r Retention, report Storage) []Partition {
	var out []Partition
	var left []Partition
	total := report.Bytes
	for _, k := range report.Tables {
		bytes, most := k.Bytes, r.MaxOf(k.Kind)
		for _, p := range k.closed {
			if k.Kind != "" && most > 0 && bytes > most {
				out = append(out, p)
				bytes, total = bytes-p.size, total-p.size
				continue
			}
			left = append(left, p)
		}
	}
	slices.SortFunc(left, func(a, b Partition) int { return cmp.Compare(a.toUS, b.toUS) })
	for _, p := range left {
		if r.MaxBytes == 0 || total <= int64(r.MaxBytes) {
			break
		}
		out = append(out, p)
		total -= p.size
	}
	return out
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
