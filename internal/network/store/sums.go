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
	w.add("SELECT minute_us / ? AS bucket, CAST(SUM(bytes) AS BIGINT), CAST(SUM(packets) AS BIGINT), CAST(SUM(flows) AS BIGINT) FROM traffic_minutes"+
		" WHERE minute_us >= ? AND minute_us < ?", width, begin, end)
	if tap != "" {
		w.add(" AND tap = ?", string(tap))
	}
	w.add(" GROUP BY 1")
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

// TopTalkers returns the addresses with the most bytes in and out.
func (s *Store) TopTalkers(ctx context.Context, from, to time.Time, limit int) ([]Talker, error) {
	from, to = s.span(from, to)
	out, err := list(ctx, s.db, `SELECT addr, CAST(SUM(bytes_in) AS BIGINT), CAST(SUM(bytes_out) AS BIGINT), CAST(SUM(packets) AS BIGINT), COUNT(*)
		FROM (
			SELECT src AS addr, dst_bytes AS bytes_in, src_bytes AS bytes_out, src_packets + dst_packets AS packets
			FROM flows WHERE start_us >= $1 AND start_us < $2 AND src IS NOT NULL
			UNION ALL
			SELECT dst, src_bytes, dst_bytes, src_packets + dst_packets
			FROM flows WHERE start_us >= $3 AND start_us < $4 AND dst IS NOT NULL
		) AS ends
		GROUP BY addr ORDER BY SUM(bytes_in) + SUM(bytes_out) DESC, addr LIMIT $5`,
		[]any{from.UnixMicro(), to.UnixMicro(), from.UnixMicro(), to.UnixMicro(), bounded(limit)},
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
	out, err := list(ctx, s.db, `SELECT tap, CAST(SUM(received) AS BIGINT), CAST(SUM(summarised) AS BIGINT), CAST(SUM(dropped_kernel) AS BIGINT),
		CAST(SUM(dropped_pipeline) AS BIGINT), CAST(SUM(malformed) AS BIGINT), CAST(SUM(bytes) AS BIGINT), COUNT(DISTINCT boot || '/' || CAST(sequence AS TEXT))
		FROM ledgers WHERE end_us >= $1 AND end_us < $2 GROUP BY tap ORDER BY tap`,
		[]any{from.UnixMicro(), to.UnixMicro()},
		func(row scanner) (l Loss, err error) {
			err = row.Scan(&l.Tap, &l.Received, &l.Summarised, &l.DroppedKernel, &l.DroppedPipeline, &l.Malformed, &l.Bytes, &l.Reports)
			return l, err
		})
	if err != nil {
		return nil, fmt.Errorf("summing ledgers: %w", err)
	}
	return out, nil
}
