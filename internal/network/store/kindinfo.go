package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// KindInfo is what there is of one kind of row.
type KindInfo struct {
	Kind     Kind
	Rows     int64 // exact to the day in which the retention ends; of very many counts, a minute old
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
	sums, err := s.sumKinds(ctx)
	if err != nil {
		return nil, err
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

// manyCounts is from how many counts on their sums are kept for a minute: those
// of a thousand taps and a month take SQLite nearly a second.
const manyCounts = 50_000

// lastSums is what all counts summed to.
type lastSums struct {
	mu    sync.Mutex
	until time.Time // when to sum anew; zero: at once
	kinds map[string]kindSum
}

// sumKinds sums the counts of each kind.
func (s *Store) sumKinds(ctx context.Context) (map[string]kindSum, error) {
	l := s.lastSums
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.until.Sub(s.now()); left > 0 && left <= storageAge {
		return l.kinds, nil
	}
	kinds, counts := map[string]kindSum{}, int64(0)
	_, err := list(ctx, s.db, "SELECT kind, COUNT(*), CAST(SUM(seen) AS BIGINT), CAST(SUM(size_bytes) AS BIGINT) FROM kind_days GROUP BY kind", nil,
		func(row scanner) (struct{}, error) {
			var kind string
			var n int64
			var sum kindSum
			err := row.Scan(&kind, &n, &sum.rows, &sum.bytes)
			kinds[kind] = sum
			counts += n
			return struct{}{}, err
		})
	if err != nil {
		return nil, fmt.Errorf("summing the rows of all kinds: %w", err)
	}
	l.kinds, l.until = kinds, time.Time{}
	if counts >= manyCounts {
		l.until = s.now().Add(storageAge)
	}
	return kinds, nil
}
