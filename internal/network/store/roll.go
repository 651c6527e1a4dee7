package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// Fence refuses a transaction whose maker no longer holds the lease for it. It
// runs first in the transaction.
type Fence func(ctx context.Context, tx *database.Tx) error

// What the sums of a minute and of an hour keep.
const (
	topHosts   = 100            // places of a minute and of an hour
	topMinutes = 48 * time.Hour // how long the places of a minute are kept
	dueHours   = 48             // that Due names at once
)

const (
	minuteUS = int64(time.Minute / time.Microsecond)
	hourUS   = int64(time.Hour / time.Microsecond)
)

// Maintain makes all sums that are due, and the indexes of partitions that take
// no more rows.
func (s *Store) Maintain(ctx context.Context, fence Fence) error {
	if _, err := s.sum(ctx, fence, true); err != nil {
		return err
	}
	_, err := s.Index(ctx)
	return err
}

// sum makes the sums of what has ended and, with late, those again that late
// reports have added to. It returns how many those were.
func (s *Store) sum(ctx context.Context, fence Fence, late bool) (again int, err error) {
	_, again, err = s.rollDue(ctx, fence, late)
	for err == nil {
		var due []time.Time
		var old int
		if due, old, err = s.due(ctx, late); err != nil {
			return again, err
		}
		for _, at := range due {
			if err := s.Rollup(ctx, at, fence); err != nil {
				return again, err
			}
		}
		if again += old; len(due) < dueHours {
			break
		}
	}
	return again, err
}

// Due returns the hours whose sums are to be made, from old to new: those that
// have ended, and those that late reports have added to. There may be more
// than are named.
func (s *Store) Due(ctx context.Context) ([]time.Time, error) {
	due, _, err := s.due(ctx, true)
	return due, err
}

// due does what Due says, with those that late reports have added to, which are
// the first, when they are asked for.
func (s *Store) due(ctx context.Context, late bool) (due []time.Time, again int, err error) {
	closed := floor(s.now().Add(-Closing-time.Minute).UnixMicro(), hourUS) // hours before it have ended
	next, err := s.firstUnrolled(ctx)
	if err != nil {
		return nil, 0, err
	}
	if late {
		due, err = list(ctx, s.db, `SELECT DISTINCT minute_us - minute_us % $1 FROM dirty_minutes WHERE minute_us < $2 ORDER BY 1 LIMIT $3`,
			[]any{hourUS, min(next, closed), dueHours}, scanTime)
		if err != nil {
			return nil, 0, fmt.Errorf("looking for hours that got late rows: %w", err)
		}
	}
	again = len(due)
	for at := next; at < closed && len(due) < dueHours; at += hourUS {
		due = append(due, micros(at))
	}
	return due, again, nil
}

// firstUnrolled is the first hour behind those that have been summed, or the
// first with rows.
func (s *Store) firstUnrolled(ctx context.Context) (int64, error) {
	var last, oldest sql.NullInt64
	err := s.db.QueryRow(ctx, `SELECT MAX(begin_us) FROM rolled WHERE width_us = $1`, hourUS).Scan(&last)
	if err == nil && last.Valid {
		return last.Int64 + hourUS, nil
	}
	if err == nil { // which reads all counts, and is not asked again
		err = s.db.QueryRow(ctx, `SELECT MIN(day_us) FROM kind_days WHERE day_us >= $1`, s.now().Add(-s.retention.Traffic).UnixMicro()).Scan(&oldest)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("looking for hours that have ended: %w", err)
	case oldest.Valid:
		return oldest.Int64, nil
	}
	return math.MaxInt64, nil
}

func scanTime(row scanner) (time.Time, error) {
	var us int64
	err := row.Scan(&us)
	return micros(us), err
}

// Rollup makes the sums of an hour that has ended, or makes them anew, in one
// transaction that the fence guards. fence may be nil.
//
// The marks of late rows go first: what is committed after that leaves a mark
// of its own, what was committed before is seen by the sums.
func (s *Store) Rollup(ctx context.Context, at time.Time, fence Fence) error {
	from := floor(at.UnixMicro(), hourUS)
	to := from + hourUS
	if from+hourUS > s.now().Add(-Closing).UnixMicro() {
		return fmt.Errorf("summing the hour of %s: it has not ended", micros(from).Format(time.RFC3339))
	}
	whole, err := s.hasAll(ctx, KindFlows, from)
	if err != nil {
		return err
	}
	ledgers, err := s.hasAll(ctx, KindLedgers, from)
	if err != nil {
		return err
	}
	err = s.rolling(ctx, fence, func(tx *database.Tx) error {
		run := script{ctx: ctx, tx: tx}
		run.exec("DELETE FROM dirty_minutes WHERE minute_us >= ? AND minute_us < ?", from, to)
		run.exec("UPDATE trimmed SET taps = 'late' WHERE partition IN (SELECT name FROM partitions WHERE from_us < ? AND to_us > ?)", to, from) // it got rows
		if err := s.rollMinutes(ctx, tx, from, to, whole); err != nil {
			return err
		}
		if whole {
			s.rollHosts(ctx, &run, from, to)
		}
		run.exec("DELETE FROM traffic_hours WHERE hour_us = ?", from)
		run.exec("INSERT INTO traffic_hours (hour_us, tap, bytes, packets, flows) SELECT CAST(? AS BIGINT), tap, SUM(bytes), SUM(packets), SUM(flows) FROM "+
			s.in(&run, minuteSums, from, to)+" WHERE minute_us >= ? AND minute_us < ? GROUP BY tap", from, from, to)
		if ledgers {
			rollLedgers(s, &run, from, to)
		}
		run.exec("INSERT INTO rolled (width_us, begin_us) VALUES (?, ?) ON CONFLICT DO NOTHING", hourUS, from)
		run.exec("DELETE FROM rolled WHERE width_us = ? AND begin_us >= ? AND begin_us < ?", minuteUS, from, to)
		return run.err
	})
	if err != nil {
		return fmt.Errorf("summing the hour of %s: %w", micros(from).Format(time.RFC3339), err)
	}
	return nil
}

// hasAll says whether no row of an hour has been dropped of a kind, nor been
// trimmed: sums that were made of more rows than are left stay as they are.
func (s *Store) hasAll(ctx context.Context, kind string, from int64) (bool, error) {
	k, _ := FindKind(kind)
	var until sql.NullInt64
	var trimmed int64
	err := s.db.QueryRow(ctx, `SELECT (SELECT MAX(until_us) FROM dropped WHERE parent = $1),
		(SELECT COUNT(*) FROM trimmed AS t JOIN partitions AS p ON p.name = t.partition WHERE p.parent = $2 AND p.from_us < $3 AND p.to_us > $4)`,
		k.Table, k.Table, from+hourUS, from).Scan(&until, &trimmed)
	return (!until.Valid || until.Int64 <= from) && trimmed == 0, err
}

// sumMemory is what a statement that makes sums may take before it writes to
// disk, unless the server gives more already: those of an hour of a busy server
// take half the time then. One node at a time makes sums.
const sumMemory = `SELECT set_config('work_mem', '64MB', TRUE) WHERE pg_size_bytes(current_setting('work_mem')) < 67108864`

// rolling runs f in a transaction behind the fence.
func (s *Store) rolling(ctx context.Context, fence Fence, f func(*database.Tx) error) error {
	return s.db.Tx(ctx, func(tx *database.Tx) error {
		if fence != nil {
			if err := fence(ctx, tx); err != nil {
				return err
			}
		}
		if tx.Engine() == database.PostgreSQL {
			if _, err := tx.Exec(ctx, sumMemory); err != nil {
				return err
			}
		}
		return f(tx)
	})
}

// script runs statements until one fails.
type script struct {
	ctx context.Context
	tx  *database.Tx
	err error
}

func (r *script) exec(text string, args ...any) {
	if r.err != nil {
		return
	}
	var w where
	w.add(text, args...)
	_, r.err = r.tx.Exec(r.ctx, w.sql.String(), w.args...)
}

// in is what a statement reads the rows of a range from.
func (s *Store) in(run *script, p part, from, to int64) string {
	if run.err != nil {
		return p.table
	}
	text, err := s.source(run.ctx, run.tx, p, from, to)
	run.err = err
	return text
}

// into is the table that the sums of one time go to.
func (s *Store) into(run *script, p part, at int64) string {
	if run.err != nil || run.tx.Engine() == database.PostgreSQL {
		return p.table
	}
	tables, err := s.dayTables(run.ctx, run.tx, p, at, at)
	run.err = err
	return tables.of(at)
}

// clear deletes the sums of a range, wherever they are.
func (s *Store) clear(run *script, p part, from, to int64) {
	tables := []string{p.table}
	if run.tx.Engine() == database.SQLite {
		have, err := partitions(run.ctx, run.tx, p.table, from, to)
		if run.err == nil {
			run.err = err
		}
		tables = []string{p.rest()}
		for _, one := range have {
			tables = append(tables, one.Name)
		}
	}
	for _, table := range tables {
		run.exec("DELETE FROM "+table+" WHERE "+p.column+" >= ? AND "+p.column+" < ?", from, to)
	}
}

// ends are the two ends of each flow of a range: its address and what it sent
// and received. The parameters are the range, twice.
func ends(flows string) string {
	return `SELECT start_us, src AS addr, dst_bytes AS bytes_in, src_bytes AS bytes_out, src_packets + dst_packets AS packets, 1 AS flows
		FROM ` + flows + ` WHERE start_us >= ? AND start_us < ? AND src IS NOT NULL
		UNION ALL SELECT start_us, dst, src_bytes, dst_bytes, src_packets + dst_packets, 1 FROM ` + flows + ` WHERE start_us >= ? AND start_us < ? AND dst IS NOT NULL`
}

// rollHosts sums an hour per host, and finds its first hosts.
func (s *Store) rollHosts(_ context.Context, run *script, from, to int64) {
	s.clear(run, hostHours, from, to)
	run.exec("INSERT INTO "+s.into(run, hostHours, from)+` (hour_us, addr, bytes_in, bytes_out, packets, flows)
		SELECT CAST(? AS BIGINT), addr, CAST(SUM(bytes_in) AS BIGINT), CAST(SUM(bytes_out) AS BIGINT), CAST(SUM(packets) AS BIGINT), COUNT(*)
		FROM (`+ends(s.in(run, partOf("flows"), from, to))+") AS ends GROUP BY addr", from, from, to, from, to)
	run.exec("DELETE FROM top_hours WHERE hour_us = ?", from)
	run.exec(`INSERT INTO top_hours (hour_us, place, addr, bytes_in, bytes_out, packets, flows)
		SELECT hour_us, place, addr, bytes_in, bytes_out, packets, flows FROM (SELECT hour_us, addr, bytes_in, bytes_out, packets, flows,
			ROW_NUMBER() OVER (ORDER BY bytes_in + bytes_out DESC, addr) AS place FROM `+s.in(run, hostHours, from, to)+` WHERE hour_us = ?) AS places
		WHERE place <= ?`, from, topHosts)
}

func rollLedgers(s *Store, run *script, from, to int64) {
	run.exec("DELETE FROM ledger_hours WHERE hour_us = ?", from)
	run.exec(`INSERT INTO ledger_hours (hour_us, tap, received, summarised, dropped_kernel, dropped_pipeline, malformed, bytes, reports)
		SELECT CAST(? AS BIGINT), tap, `+ledgerSums+" FROM "+s.in(run, partOf("ledgers"), from, to)+
		" WHERE end_us >= ? AND end_us < ? GROUP BY tap", from, from, to)
}

const ledgerSums = `CAST(SUM(received) AS BIGINT), CAST(SUM(summarised) AS BIGINT), CAST(SUM(dropped_kernel) AS BIGINT),
	CAST(SUM(dropped_pipeline) AS BIGINT), CAST(SUM(malformed) AS BIGINT), CAST(SUM(bytes) AS BIGINT), COUNT(DISTINCT boot || '/' || CAST(sequence AS TEXT))`

// rollMinutes sums the minutes of a range within an hour: the traffic of each
// tap and, while they are kept, the first hosts.
func (s *Store) rollMinutes(ctx context.Context, tx *database.Tx, from, to int64, hosts bool) error {
	run := &script{ctx: ctx, tx: tx}
	s.clear(run, minuteTotals, from, to)
	run.exec("INSERT INTO "+s.into(run, minuteTotals, from)+" (minute_us, tap, bytes, packets, flows) SELECT minute_us, tap, SUM(bytes), SUM(packets), SUM(flows) FROM "+
		s.in(run, minuteSums, from, to)+" WHERE minute_us >= ? AND minute_us < ? GROUP BY minute_us, tap", from, to)
	if !hosts || from < s.now().Add(-topMinutes).UnixMicro() {
		return run.err
	}
	run.exec("DELETE FROM top_minutes WHERE minute_us >= ? AND minute_us < ?", from, to)
	run.exec(`INSERT INTO top_minutes (minute_us, place, addr, bytes_in, bytes_out, packets, flows)
		SELECT minute_us, place, addr, bytes_in, bytes_out, packets, flows FROM (
			SELECT minute_us, addr, bytes_in, bytes_out, packets, flows, ROW_NUMBER() OVER (PARTITION BY minute_us ORDER BY bytes_in + bytes_out DESC, addr) AS place FROM (
				SELECT start_us - start_us % 60000000 AS minute_us, addr, CAST(SUM(bytes_in) AS BIGINT) AS bytes_in, CAST(SUM(bytes_out) AS BIGINT) AS bytes_out,
					CAST(SUM(packets) AS BIGINT) AS packets, COUNT(*) AS flows
				FROM (`+ends(s.in(run, partOf("flows"), from, to))+`) AS ends GROUP BY 1, 2) AS sums) AS places
		WHERE place <= ?`, from, to, from, to, topHosts)
	return run.err
}

// RollMinutes makes the sums of the minutes that have ended since the last
// whole hour that was summed, and of those among them that got late rows. It
// returns how many.
func (s *Store) RollMinutes(ctx context.Context, fence Fence) (int, error) {
	n, _, err := s.rollDue(ctx, fence, true)
	return n, err
}

// rollDue does what RollMinutes says, with the minutes that got late rows when
// they are asked for. again is how many those were.
func (s *Store) rollDue(ctx context.Context, fence Fence, late bool) (n, again int, err error) {
	closed := floor(s.now().Add(-Closing).UnixMicro(), minuteUS)
	begin := floor(closed, hourUS) - hourUS
	err = s.rolling(ctx, fence, func(tx *database.Tx) error {
		var ranges []span
		ranges, again, err = s.openMinutes(ctx, tx, begin, closed, late)
		if err != nil {
			return err
		}
		n = 0
		for _, r := range ranges {
			run := script{ctx: ctx, tx: tx}
			run.exec("DELETE FROM dirty_minutes WHERE minute_us >= ? AND minute_us < ?", r.from, r.to)
			if run.err == nil {
				run.err = s.rollMinutes(ctx, tx, r.from, r.to, true)
			}
			for at := r.from; at < r.to; at += minuteUS {
				run.exec("INSERT INTO rolled (width_us, begin_us) VALUES (?, ?) ON CONFLICT DO NOTHING", minuteUS, at)
				n++
			}
			if run.err != nil {
				return run.err
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("summing minutes: %w", err)
	}
	return n, again, nil
}

// openMinutes returns the ranges of minutes in [from, to), each within an hour,
// that have not been summed and, with late, those that have got rows since.
// again is how many minutes those are.
func (s *Store) openMinutes(ctx context.Context, tx *database.Tx, from, to int64, late bool) (out []span, again int, err error) {
	rows, err := tx.Query(ctx, `SELECT width_us, begin_us FROM rolled WHERE width_us = $1 AND begin_us >= $2 OR width_us = $3 AND begin_us >= $4
		UNION ALL SELECT 0, minute_us FROM dirty_minutes WHERE minute_us >= $5 AND minute_us < $6`, minuteUS, from, hourUS, from, from, to)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	done, dirty := map[int64]int64{}, map[int64]bool{} // done says within what
	for rows.Next() {
		var width, at int64
		if err := rows.Scan(&width, &at); err != nil {
			return nil, 0, err
		}
		if width == 0 {
			dirty[at] = true
		}
		for m := at; m < at+width; m += minuteUS {
			done[m] = max(done[m], width)
		}
	}
	for at := from; at < to; at += minuteUS {
		if done[at] == hourUS || done[at] == minuteUS && (!dirty[at] || !late) {
			continue // Due names whole hours that got late rows
		}
		if done[at] == minuteUS {
			again++
		}
		if n := len(out) - 1; n >= 0 && out[n].to == at && at%hourUS != 0 {
			out[n].to += minuteUS
		} else {
			out = append(out, span{at, at + minuteUS})
		}
	}
	return out, again, rows.Err()
}

// span is a range of time in microseconds.
type span struct{ from, to int64 }
