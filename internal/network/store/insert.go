package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// Insert writes all rows of a report in the transaction. The caller makes sure
// that a report is inserted once: its identity is not looked at here.
func (s *Store) Insert(ctx context.Context, tx *database.Tx, r *network.Report) error {
	return s.InsertAll(ctx, tx, []*network.Report{r})
}

// InsertAll writes all rows of several reports in the transaction, those of one
// table in one go. As with Insert, nobody looks at the identities.
func (s *Store) InsertAll(ctx context.Context, tx *database.Tx, reports []*network.Report) error {
	if s.enricher != nil {
		for _, r := range reports {
			s.enricher.Learn(r)
		}
	}
	batches := make([]batch, len(reports))
	days := kindSums{}
	for i, r := range reports {
		batches[i] = batch{r, rowIDs(r.Identity), days, s.enricher}
		days.others(r)
	}
	for _, w := range writers() {
		if err := s.write(ctx, tx, w, batches); err != nil {
			return err
		}
	}
	if err := s.insertMinutes(ctx, tx, reports); err != nil {
		return err
	}
	if err := s.markDirty(ctx, tx, reports); err != nil {
		return err
	}
	// Rows that several transactions change come last, so that none waits
	// long for another one.
	if err := days.upsert(ctx, tx); err != nil {
		return err
	}
	return upsertNames(ctx, tx, reports)
}

// batch is a report that is being written.
type batch struct {
	*network.Report
	id    func(row int) int64
	days  kindSums
	about Enricher // nil knows nothing
}

// writer writes the rows of one table.
type writer struct {
	part    part
	columns []database.Column
	count   func(*network.Report) int
	time    func(r *network.Report, i int) int64
	fill    func(b *batch, i int, r *database.Row)
}

// place is a row of a batch.
type place struct{ batch, row int32 }

// write appends the rows of all reports that belong into one table.
func (s *Store) write(ctx context.Context, tx *database.Tx, w writer, batches []batch) error {
	total := 0
	for i := range batches {
		total += w.count(batches[i].Report)
	}
	if total == 0 {
		return nil
	}
	times := make([]int64, 0, total)
	places := make([]place, 0, total)
	for b := range batches {
		for i := range w.count(batches[b].Report) {
			places = append(places, place{int32(b), int32(i)})
			if tx.Engine() == database.SQLite {
				times = append(times, w.time(batches[b].Report, i))
			}
		}
	}
	return s.spread(ctx, tx, w.part, times, func(table string, rows []int32) error {
		n := total
		if rows != nil {
			n = len(rows)
		}
		_, err := tx.Append(ctx, table, w.columns, n, func(i int, r *database.Row) {
			at := i
			if rows != nil {
				at = int(rows[i])
			}
			w.fill(&batches[places[at].batch], int(places[at].row), r)
		})
		return err
	})
}

// spread calls write for each table that rows go to: on PostgreSQL the
// partitioned table takes them all, with rows nil; on SQLite each partition
// gets its own.
func (s *Store) spread(ctx context.Context, tx *database.Tx, p part, times []int64, write func(table string, rows []int32) error) error {
	if tx.Engine() == database.PostgreSQL {
		return write(p.table, nil)
	}
	tables, err := s.dayTables(ctx, tx, p, slices.Min(times), slices.Max(times))
	if err != nil {
		return err
	}
	split := map[string][]int32{}
	var order []string
	for i, at := range times {
		name := tables.of(at)
		if _, ok := split[name]; !ok {
			order = append(order, name)
		}
		split[name] = append(split[name], int32(i))
	}
	if len(order) == 1 {
		return write(order[0], nil)
	}
	for _, name := range order {
		if err := write(name, split[name]); err != nil {
			return err
		}
	}
	return nil
}

// rowIDs gives the rows of a report ids that no other report's rows have,
// short of a collision in 45 bits that matters only within one microsecond.
func rowIDs(id network.Identity) func(row int) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", id.Tap, id.Boot, id.Sequence))
	base := int64(binary.BigEndian.Uint64(sum[:]) >> 19 << 18)
	return func(row int) int64 { return base | int64(row) }
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// mac is a hardware address as it stands in a column; none is nil.
func mac(m [6]byte) []byte {
	if m == [6]byte{} {
		return nil
	}
	return m[:]
}

// listText is a list as it stands in a TEXT column: JSON, "" when empty.
func listText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "" // a list of strings always marshals
	}
	return string(b)
}

func textList(s string) []string {
	var list []string
	if s == "" || json.Unmarshal([]byte(s), &list) != nil {
		return nil
	}
	return list
}
