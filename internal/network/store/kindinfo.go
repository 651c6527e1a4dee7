package store

import (
	"context"
	"fmt"
	"time"
)

// KindInfo is what there is of one kind of row.
type KindInfo struct {
	Kind     Kind
	Rows     int64 // exact to the day in which the retention ends
	LastHour int64 // at most MaxCounted
	Bytes    int64 // estimated, indices included
	Oldest   time.Time
	Newest   time.Time // both zero when there is no row
	Keep     time.Duration
}

// MaxCounted is how many rows of the last hour are counted one by one: the rest
// is of no interest to who looks whether there are any, and takes seconds on a
// busy server.
const MaxCounted = 10_000

// KindInfos says what there is of every kind, in the order of Kinds.
func (s *Store) KindInfos(ctx context.Context) ([]KindInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	sums := map[string]kindSum{}
	_, err := list(ctx, s.db, "SELECT kind, CAST(SUM(seen) AS BIGINT), CAST(SUM(size_bytes) AS BIGINT) FROM kind_days GROUP BY kind", nil,
		func(row scanner) (struct{}, error) {
			var kind string
			var sum kindSum
			err := row.Scan(&kind, &sum.rows, &sum.bytes)
			sums[kind] = sum
			return struct{}{}, err
		})
	if err != nil {
		return nil, fmt.Errorf("summing the rows of all kinds: %w", err)
	}
	in, err := s.occupied(ctx)
	if err != nil {
		return nil, err
	}
	from, to := s.span(time.Time{}, time.Time{})
	var out []KindInfo
	for _, k := range Kinds() {
		info := KindInfo{Kind: k, Rows: sums[k.Name].rows, Bytes: sums[k.Name].bytes, Keep: s.retention.Of(k)}
		p := partOf(k.Table)
		oldest, newest, ok, err := s.edges(ctx, p, in)
		if err == nil {
			var source string
			if source, err = s.source(ctx, s.db, p, from.UnixMicro(), to.UnixMicro()); err == nil {
				err = s.db.QueryRow(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM "+source+" WHERE "+k.Time+" >= $1 AND "+k.Time+" < $2 LIMIT $3) AS latest",
					from.UnixMicro(), to.UnixMicro(), MaxCounted).Scan(&info.LastHour)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("looking at the rows of %s: %w", k.Name, err)
		}
		if ok {
			info.Oldest, info.Newest = micros(oldest), micros(newest)
		}
		out = append(out, info)
	}
	return out, nil
}
