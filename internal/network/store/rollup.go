package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// minute is one row of traffic_minutes: when and what.
type minute struct {
	us  int64
	tap network.TapID
	app string
}

var minuteColumns = columns("minute_us, tap text, app text, bytes, packets, flows")

// insertMinutes counts a flow in the minute in which it starts in its report.
// The rows are differences, which are only ever added and summed.
func (s *Store) insertMinutes(ctx context.Context, tx *database.Tx, reports []*network.Report) error {
	sums := map[minute]*TrafficPoint{}
	for _, r := range reports {
		for i := range r.Flows {
			f := &r.Flows[i]
			key := minute{floor(f.Start.UnixMicro(), time.Minute.Microseconds()), r.Tap, f.App}
			sum := sums[key]
			if sum == nil {
				sum = new(TrafficPoint)
				sums[key] = sum
			}
			sum.Bytes += int64(f.SrcBytes + f.DstBytes)
			sum.Packets += int64(f.SrcPkts + f.DstPkts)
			sum.Flows++
		}
	}
	if len(sums) == 0 {
		return nil
	}
	keys := slices.Collect(maps.Keys(sums))
	slices.SortFunc(keys, func(a, b minute) int {
		return cmp.Or(cmp.Compare(a.us, b.us), cmp.Compare(a.tap, b.tap), cmp.Compare(a.app, b.app))
	})
	times := make([]int64, len(keys))
	for i, k := range keys {
		times[i] = k.us
	}
	return s.spread(ctx, tx, minuteSums, times, func(table string, rows []int32) error {
		n := len(keys)
		if rows != nil {
			n = len(rows)
		}
		_, err := tx.Append(ctx, table, minuteColumns, n, func(i int, r *database.Row) {
			if rows != nil {
				i = int(rows[i])
			}
			sum := sums[keys[i]]
			r.Int(keys[i].us)
			r.Text(string(keys[i].tap))
			r.Text(keys[i].app)
			r.Int(sum.Bytes)
			r.Int(sum.Packets)
			r.Int(sum.Flows)
		})
		return err
	})
}

// A minute is summed Closing after its end: taps send every ten seconds, so that
// hardly a report of it is on its way still. One that comes later marks it to be
// summed again, and so does any that comes less than a margin before, for
// transactions on their way and for clocks of nodes that differ: a mark that is
// there when the minute is summed goes with that.
const (
	Closing = 20 * time.Second
	margin  = 45 * time.Second
)

// markDirty marks the minutes whose sums have been made, or are being made,
// and that the reports add to.
func (s *Store) markDirty(ctx context.Context, tx *database.Tx, reports []*network.Report) error {
	summed := floor(s.now().Add(margin-Closing).UnixMicro(), time.Minute.Microseconds())
	late := map[int64]bool{}
	mark := func(at time.Time) {
		if us := floor(at.UnixMicro(), time.Minute.Microseconds()); us < summed {
			late[us] = true
		}
	}
	for _, r := range reports {
		for i := range r.Flows {
			mark(r.Flows[i].Start)
		}
		mark(r.End)
	}
	minutes := slices.Sorted(maps.Keys(late))
	_, err := tx.Append(ctx, "dirty_minutes", []database.Column{{Name: "minute_us"}}, len(minutes), func(i int, r *database.Row) { r.Int(minutes[i]) })
	return err
}

// sightings are the names in reports.
type sightings map[string]*sighting

type sighting struct{ first, last, seen int64 }

func (s sightings) add(name string, at time.Time) {
	if name == "" {
		return
	}
	us := at.UnixMicro()
	seen := s[name]
	if seen == nil {
		seen = &sighting{first: us, last: us}
		s[name] = seen
	}
	seen.first, seen.last = min(seen.first, us), max(seen.last, us)
	seen.seen++
}

func upsertNames(ctx context.Context, tx *database.Tx, reports []*network.Report) error {
	dns, tls := sightings{}, sightings{}
	for _, r := range reports {
		for i := range r.DNS {
			dns.add(r.DNS[i].Name, r.DNS[i].Time)
		}
		for i := range r.TLS {
			tls.add(r.TLS[i].SNI, r.TLS[i].Time)
		}
	}
	if err := dns.upsert(ctx, tx, "dns_names"); err != nil {
		return err
	}
	return tls.upsert(ctx, tx, "tls_names")
}

// upsertRows is how many names go into one statement.
const upsertRows = 250

// upsert adds the names to a table, sorted, so that two transactions with the
// same names wait for one another instead of locking each other out.
func (s sightings) upsert(ctx context.Context, tx *database.Tx, table string) error {
	for names := range slices.Chunk(slices.Sorted(maps.Keys(s)), upsertRows) {
		var sql strings.Builder
		fmt.Fprintf(&sql, "INSERT INTO %s AS t (name, first_us, last_us, seen) VALUES ", table)
		args := make([]any, 0, 4*len(names))
		for i, name := range names {
			if i > 0 {
				sql.WriteByte(',')
			}
			n := len(args)
			fmt.Fprintf(&sql, "($%d,$%d,$%d,$%d)", n+1, n+2, n+3, n+4)
			args = append(args, name, s[name].first, s[name].last, s[name].seen)
		}
		sql.WriteString(` ON CONFLICT (name) DO UPDATE SET
			first_us = CASE WHEN excluded.first_us < t.first_us THEN excluded.first_us ELSE t.first_us END,
			last_us = CASE WHEN excluded.last_us > t.last_us THEN excluded.last_us ELSE t.last_us END,
			seen = t.seen + excluded.seen`)
		if _, err := tx.Exec(ctx, sql.String(), args...); err != nil {
			return fmt.Errorf("adding %d names to %s: %w", len(names), table, err)
		}
	}
	return nil
}

// floor is the begin of the bucket that a time is in.
func floor(us, bucket int64) int64 {
	if us < 0 {
		us -= bucket - 1
	}
	return us / bucket * bucket
}
