package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

const (
	loadLimit   = 4 * time.Minute  // for rows, sums and indexes together
	loadReports = 8640             // of ten seconds each, in 24 hours
	loadBatch   = 8                // reports in a transaction
	sumsBehind  = 10 * time.Second // that a node's sums are behind at most, beside what is too young for them
)

// loaded fills a schema with 24 hours of flows, makes the sums as a node does
// at its latest, and returns when the 24 hours ended: that is the time at which
// the panels ask. A kept folder that holds as many flows is used as it is.
func loaded(ctx context.Context, e *engine, flows int) (db *database.DB, now time.Time, err error) {
	if _, err := e.admin.Exec(ctx, "CREATE TABLE IF NOT EXISTS bench_loaded (flows BIGINT, end_us BIGINT)"); err != nil {
		return nil, now, err
	}
	var us int64
	if e.admin.QueryRow(ctx, "SELECT end_us FROM bench_loaded WHERE flows = $1", flows).Scan(&us) == nil {
		db, err = e.open(ctx, "panels")
		return db, time.UnixMicro(us), err
	}
	if _, err := e.admin.Exec(ctx, "DELETE FROM bench_loaded"); err != nil {
		return nil, now, err
	}
	if db, err = e.schema(ctx, "panels"); err != nil {
		return nil, now, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, loadLimit, fmt.Errorf("loading %d flows takes more than %s: give fewer with FLOWS=", flows, loadLimit))
	defer cancel()
	// The second of a minute at which most is not summed yet: just before a minute is.
	now = time.Now().Truncate(time.Minute).Add(-2*time.Minute + store.Closing + sumsBehind - time.Second)
	if err := load(limited, db, now, flows); err != nil {
		if cause := context.Cause(limited); cause != nil {
			err = cause
		}
		return nil, now, errors.Join(err, db.Close())
	}
	if _, err := e.admin.Exec(ctx, "VACUUM ANALYZE"); err != nil { // what autovacuum does within a day
		return nil, now, errors.Join(err, db.Close())
	}
	_, err = e.admin.Exec(ctx, "INSERT INTO bench_loaded VALUES ($1, $2)", flows, now.UnixMicro())
	return db, now, err
}

func load(ctx context.Context, db *database.DB, now time.Time, flows int) error {
	start := time.Now()
	if err := database.Migrate(ctx, db, node.Migrations()); err != nil {
		return err
	}
	if err := fill(ctx, db, now, flows); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Printf("panels: %d flows of 24 hours were loaded in %s (%.0f flows/s)", flows, took.Round(time.Second), float64(flows)/took.Seconds())
	start = time.Now()
	if err := sum(ctx, db, now); err != nil {
		return err
	}
	fmt.Printf(", summed and indexed in %s\n", time.Since(start).Round(time.Second))
	return nil
}

// sum makes the sums as a node has them that makes them every half minute: of
// the whole hours from two connections, since it had all day for them.
func sum(ctx context.Context, db *database.DB, now time.Time) error {
	behind := now.Add(-sumsBehind)
	s := store.New(db, func() time.Time { return behind })
	due, err := s.Due(ctx)
	if err != nil {
		return err
	}
	hours := make(chan time.Time)
	failed := make(chan error, len(due))
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			for at := range hours {
				failed <- s.Rollup(ctx, at, nil)
			}
		})
	}
	for _, at := range due {
		hours <- at
	}
	close(hours)
	working.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return s.Maintain(ctx, nil)
}

// fill writes reports of four taps that end every ten seconds, the oldest
// first, from two connections, as a node does.
func fill(ctx context.Context, db *database.DB, now time.Time, flows int) error {
	begin := now.Add(-24 * time.Hour)
	for at := begin; at.Before(now); at = at.Add(time.Hour) { // as if the node had run then, on the second such day
		past := store.New(db, func() time.Time { return at }).Partitioned(store.Hourly)
		if _, err := past.MakePartitions(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := store.New(db, func() time.Time { return now })
	work := make(chan []*network.Report)
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			for batch := range work {
				if err := db.Tx(ctx, func(tx *database.Tx) error { return s.InsertAll(ctx, tx, batch) }); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < loadReports && ctx.Err() == nil; i += loadBatch {
		work <- loadOf(i, begin, flows)
	}
	close(work)
	working.Wait()
	return context.Cause(ctx)
}

// loadOf makes the reports of one transaction.
func loadOf(first int, begin time.Time, flows int) []*network.Report {
	batch := make([]*network.Report, loadBatch)
	for j := range batch {
		i := first + j
		tap := network.TapID(fmt.Sprintf("tap%d", i%taps))
		id := network.Identity{Tap: tap, Boot: reporttest.Boot(1), Sequence: uint64(i/taps + 1)}
		// The remainder is spread, so that there are as many flows as were said.
		n := (i+1)*flows/loadReports - i*flows/loadReports
		batch[j] = reporttest.New(uint64(i), id, begin.Add(time.Duration(i+1)*10*time.Second), reporttest.Size{Flows: n, DNS: 4, TLS: 3, Records: 1})
	}
	return batch
}
