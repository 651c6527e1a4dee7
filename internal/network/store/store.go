// Package store keeps what the taps report: flows, DNS queries, TLS hellos,
// ledgers, gaps and the records of network.Records, a table for each kind, with
// sums of the traffic and tables of the names seen. Times are microseconds;
// addresses are 16 bytes, IPv4 mapped. The same SQL serves SQLite and
// PostgreSQL.
//
// Tables of rows are kept in partitions by time, which retention drops whole.
// The sums of a minute and of an hour are made when it has ended, under a
// lease, and again when late reports have brought more; what is not summed yet
// is read from the rows.
//
// Every query is bounded: an answer has at most MaxRows rows, and a query
// without a range means the last hour. Lists run from new to old and are
// paged by (time, id).
package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// queryTimeout bounds one query, so that none can hold a connection for long.
const queryTimeout = 20 * time.Second

// Store reads and writes the telemetry tables.
type Store struct {
	db  *database.DB
	now func() time.Time

	retention Retention
	how       Partitioning
	last      *lastStorage
	lastUses  *lastUses
	lastSums  *lastSums
	late      *lateSums
	enricher  Enricher // nil knows nothing
}

// New makes a store. now may be nil.
func New(db *database.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: db, now: now, retention: DefaultRetention(), how: Auto, last: new(lastStorage), lastUses: new(lastUses), lastSums: new(lastSums), late: new(lateSums)}
}

// Keeping makes a store say how long the rows of each kind are kept.
func (s *Store) Keeping(r Retention) *Store {
	kept := *s
	kept.retention = r
	return &kept
}

// Partitioned makes a store make partitions of a width.
func (s *Store) Partitioned(how Partitioning) *Store {
	kept := *s
	kept.how = how
	return &kept
}

// span completes a range: without an end it ends now, without a begin it is
// DefaultRange long.
func (s *Store) span(from, to time.Time) (time.Time, time.Time) {
	if to.IsZero() {
		to = s.now().Add(time.Minute) // the clocks of taps may be a little ahead
	}
	if from.IsZero() {
		from = to.Add(-DefaultRange)
	}
	return from, to
}

func bounded(limit int) int64 {
	switch {
	case limit <= 0:
		return DefaultRows
	case limit > MaxRows:
		return MaxRows
	}
	return int64(limit)
}

// scanner is a row to be read.
type scanner interface{ Scan(dest ...any) error }

// list runs a query and reads its rows.
func list[T any](ctx context.Context, db *database.DB, text string, args []any, scan func(scanner) (T, error)) (_ []T, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := db.QueryLate(ctx, text, args...) // what taps reported is late by nature
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scan)
}

// scanAll reads rows to their end.
func scanAll[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
