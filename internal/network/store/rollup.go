package store

import (
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
	app string
}

func insertRollups(ctx context.Context, tx *database.Tx, r *network.Report) error {
	if err := insertMinutes(ctx, tx, r); err != nil {
		return err
	}
	dns := sightings{}
	for i := range r.DNS {
		dns.add(r.DNS[i].Name, r.DNS[i].Time)
	}
	if err := dns.upsert(ctx, tx, "dns_names"); err != nil {
		return err
	}
	tls := sightings{}
	for i := range r.TLS {
		tls.add(r.TLS[i].SNI, r.TLS[i].Time)
	}
	return tls.upsert(ctx, tx, "tls_names")
}

// insertMinutes counts a flow in the minute in which it starts in this report.
func insertMinutes(ctx context.Context, tx *database.Tx, r *network.Report) error {
	sums := map[minute]*TrafficPoint{}
	for i := range r.Flows {
		f := &r.Flows[i]
		key := minute{floor(f.Start.UnixMicro(), time.Minute.Microseconds()), f.App}
		sum := sums[key]
		if sum == nil {
			sum = new(TrafficPoint)
			sums[key] = sum
		}
		sum.Bytes += int64(f.SrcBytes + f.DstBytes)
		sum.Packets += int64(f.SrcPkts + f.DstPkts)
		sum.Flows++
	}
	keys := slices.Collect(maps.Keys(sums))
	_, err := tx.CopyIn(ctx, "traffic_minutes", []string{"minute_us", "tap", "app", "bytes", "packets", "flows"}, len(keys), func(i int) []any {
		sum := sums[keys[i]]
		return []any{keys[i].us, string(r.Tap), keys[i].app, sum.Bytes, sum.Packets, sum.Flows}
	})
	return err
}

// sightings are the names in a report.
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
