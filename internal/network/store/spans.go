package store

import (
	"context"
	"math"
	"time"
)

// Span is what time the partitions of one table cover, and which of them its
// age takes first. Storage says what they take, and what their size takes.
type Span struct {
	Kind       string // "" for sums
	Table      string
	Partitions int
	From       time.Time // where the oldest begins; zero when it holds everything older
	To         time.Time // where the newest ends: partitions are made ahead
	Next       string    // the partition that is dropped next
	At         time.Time // when
}

// Spans returns the partitioned tables that have a partition, in the order of
// Kinds, and the sums behind them.
func (s *Store) Spans(ctx context.Context) ([]Span, error) {
	have, err := partitions(ctx, s.db, "", math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	of := map[string][]Partition{}
	for _, p := range have {
		of[p.Table] = append(of[p.Table], p)
	}
	var all []Span
	for _, p := range parts() {
		list := of[p.table]
		if len(list) == 0 {
			continue
		}
		first, last := list[0], list[len(list)-1]
		all = append(all, Span{Kind: p.kind, Table: p.table, Partitions: len(list), From: first.From, To: last.To, Next: first.Name, At: first.To.Add(p.keep(s.retention))})
	}
	return all, nil
}
