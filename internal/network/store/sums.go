package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// Traffic returns what all taps saw, per bucket, without holes. A bucket is a
// whole number of minutes (rounded up; 0 is one minute) and begins at a
// multiple of itself since 1970.
func (s *Store) Traffic(ctx context.Context, from, to time.Time, bucket time.Duration) ([]TrafficPoint, error) {
	return s.TrafficOf(ctx, "", from, to, bucket)
}

// TrafficOf is Traffic of one tap; "" is all.
func (s *Store) TrafficOf(ctx context.Context, tap network.TapID, from, to time.Time, bucket time.Duration) ([]TrafficPoint, error) {
	from, to = s.span(from, to)
	bucket = max((bucket+time.Minute-1)/time.Minute, 1) * time.Minute
	width := bucket.Microseconds()
	begin, end := floor(from.UnixMicro(), width), floor(to.UnixMicro()-1, width)+width
	if end <= begin {
		return []TrafficPoint{}, nil
	}
	if n := (end - begin) / width; n > MaxBuckets {
		return nil, errs.New(errs.Invalid, "summing traffic: %d buckets of %s, at most %d are given: choose a shorter range or longer buckets", n, bucket, MaxBuckets)
	}
	var w where
	if err := s.trafficText(ctx, &w, tap, span{begin, end}, width); err != nil {
		return nil, fmt.Errorf("summing traffic: %w", err)
	}
	points := make([]TrafficPoint, (end-begin)/width)
	for i := range points {
		points[i].Time = micros(begin + int64(i)*width)
	}
	_, err := list(ctx, s.db, w.sql.String(), w.args, func(row scanner) (struct{}, error) {
		var number int64
		var p TrafficPoint
		err := row.Scan(&number, &p.Bytes, &p.Packets, &p.Flows)
		if i := number - begin/width; i >= 0 && i < int64(len(points)) {
			p.Time = points[i].Time
			points[i] = p
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("summing traffic: %w", err)
	}
	return points, nil
}

// trafficText reads the sums of hours where a bucket is made of hours, those of
// minutes where they have been made, and the differences for the rest.
func (s *Store) trafficText(ctx context.Context, w *where, tap network.TapID, all span, width int64) error {
	done, err := s.summed(ctx, all)
	if err != nil {
		return err
	}
	w.add("SELECT bucket, CAST(SUM(bytes) AS BIGINT), CAST(SUM(packets) AS BIGINT), CAST(SUM(flows) AS BIGINT) FROM (")
	arm := func(p part, column string, r span) error {
		from, err := s.source(ctx, s.db, p, r.from, r.to)
		w.add("SELECT "+column+" / ? AS bucket, SUM(bytes) AS bytes, SUM(packets) AS packets, SUM(flows) AS flows FROM "+from+
			" WHERE "+column+" >= ? AND "+column+" < ?", width, r.from, r.to)
		if tap != "" {
			w.add(" AND tap = ?", string(tap))
		}
		w.add(" GROUP BY 1")
		return err
	}
	for i, r := range done.pieces {
		if i > 0 {
			w.add(" UNION ALL ")
		}
		switch {
		case r.sum == byHour && width%hourUS == 0:
			w.add("SELECT hour_us / ? AS bucket, SUM(bytes) AS bytes, SUM(packets) AS packets, SUM(flows) AS flows FROM traffic_hours WHERE hour_us >= ? AND hour_us < ?", width, r.from, r.to)
			if tap != "" {
				w.add(" AND tap = ?", string(tap))
			}
			w.add(" GROUP BY 1")
		case r.sum == byRow:
			err = arm(minuteSums, "minute_us", r.span)
		default:
			err = arm(minuteTotals, "minute_us", r.span)
		}
		if err != nil {
			return err
		}
	}
	w.add(") AS sums GROUP BY bucket")
	return nil
}

// TopTalkers returns the addresses with the most bytes in and out. Up to 100
// are found among the first 100 of each hour and of each minute that have been
// summed, so that an address that is far behind in some of them may have sent
// somewhat more than is said; more are summed from what every host did in each
// hour.
func (s *Store) TopTalkers(ctx context.Context, from, to time.Time, limit int) ([]Talker, error) {
	from, to = s.span(from, to)
	places := bounded(limit) <= topHosts
	done, err := s.summed(ctx, span{from.UnixMicro(), to.UnixMicro()})
	if err != nil {
		return nil, fmt.Errorf("summing talkers: %w", err)
	}
	var w where
	w.add(`SELECT addr, CAST(SUM(bytes_in) AS BIGINT), CAST(SUM(bytes_out) AS BIGINT), CAST(SUM(packets) AS BIGINT), CAST(SUM(flows) AS BIGINT) FROM (`)
	recent := s.now().Add(hour - topMinutes).UnixMicro()
	for i, r := range done.joined(places, recent) {
		if i > 0 {
			w.add(" UNION ALL ")
		}
		const what = "addr, bytes_in, bytes_out, packets, flows FROM "
		switch {
		case r.sum == byHour && places:
			w.add("SELECT "+what+"top_hours WHERE hour_us >= ? AND hour_us < ?", r.from, r.to)
		case r.sum == byHour:
			table, err := s.source(ctx, s.db, hostHours, r.from, r.to)
			if err != nil {
				return nil, err
			}
			w.add("SELECT "+what+table+" WHERE hour_us >= ? AND hour_us < ?", r.from, r.to)
		case r.sum == byMinute:
			w.add("SELECT "+what+"top_minutes WHERE minute_us >= ? AND minute_us < ?", r.from, r.to)
		default:
			table, err := s.source(ctx, s.db, partOf("flows"), r.from, r.to)
			if err != nil {
				return nil, err
			}
			w.add("SELECT "+what+"("+ends(table)+") AS ends", r.from, r.to, r.from, r.to)
		}
	}
	w.add(") AS parts GROUP BY addr ORDER BY SUM(bytes_in) + SUM(bytes_out) DESC, addr LIMIT ?", bounded(limit))
	out, err := list(ctx, s.db, w.sql.String(), w.args,
		func(row scanner) (t Talker, err error) {
			var addr []byte
			err = row.Scan(&addr, &t.BytesIn, &t.BytesOut, &t.Packets, &t.Flows)
			t.Addr = database.AddrFrom16(addr)
			return t, err
		})
	if err != nil {
		return nil, fmt.Errorf("summing talkers: %w", err)
	}
	return out, nil
}

// LatestNames returns the DNS names that were asked for last.
func (s *Store) LatestNames(ctx context.Context, limit int) ([]Name, error) {
	return s.names(ctx, "dns_names", limit)
}

// LatestServers returns the TLS server names that were asked for last.
func (s *Store) LatestServers(ctx context.Context, limit int) ([]Name, error) {
	return s.names(ctx, "tls_names", limit)
}

func (s *Store) names(ctx context.Context, table string, limit int) ([]Name, error) {
	out, err := list(ctx, s.db, `SELECT name, first_us, last_us, seen FROM `+table+` ORDER BY last_us DESC, name LIMIT $1`, []any{bounded(limit)},
		func(row scanner) (n Name, err error) {
			var first, last int64
			err = row.Scan(&n.Name, &first, &last, &n.Count)
			n.First, n.Last = micros(first), micros(last)
			return n, err
		})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", table, err)
	}
	return out, nil
}

// Losses sums the ledgers per tap over a range.
func (s *Store) Losses(ctx context.Context, from, to time.Time) ([]Loss, error) {
	from, to = s.span(from, to)
	done, err := s.summed(ctx, span{from.UnixMicro(), to.UnixMicro()})
	if err != nil {
		return nil, fmt.Errorf("summing ledgers: %w", err)
	}
	var w where
	w.add("SELECT tap")
	for _, c := range [...]string{"received", "summarised", "dropped_kernel", "dropped_pipeline", "malformed", "bytes", "reports"} {
		w.add(", CAST(SUM(" + c + ") AS BIGINT)")
	}
	w.add(" FROM (")
	for i, r := range done.hours() {
		if i > 0 {
			w.add(" UNION ALL ")
		}
		if r.sum == byHour {
			w.add("SELECT tap, received, summarised, dropped_kernel, dropped_pipeline, malformed, bytes, reports FROM ledger_hours WHERE hour_us >= ? AND hour_us < ?", r.from, r.to)
			continue
		}
		table, err := s.source(ctx, s.db, partOf("ledgers"), r.from, r.to)
		if err != nil {
			return nil, err
		}
		w.add(`SELECT tap, SUM(received) AS received, SUM(summarised) AS summarised, SUM(dropped_kernel) AS dropped_kernel, SUM(dropped_pipeline) AS dropped_pipeline,
			SUM(malformed) AS malformed, SUM(bytes) AS bytes, COUNT(DISTINCT boot || '/' || CAST(sequence AS TEXT)) AS reports
			FROM `+table+" WHERE end_us >= ? AND end_us < ? GROUP BY tap", r.from, r.to)
	}
	w.add(") AS parts GROUP BY tap ORDER BY tap")
	out, err := list(ctx, s.db, w.sql.String(), w.args,
		func(row scanner) (l Loss, err error) {
			err = row.Scan(&l.Tap, &l.Received, &l.Summarised, &l.DroppedKernel, &l.DroppedPipeline, &l.Malformed, &l.Bytes, &l.Reports)
			return l, err
		})
	if err != nil {
		return nil, fmt.Errorf("summing ledgers: %w", err)
	}
	return out, nil
}
