package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

func insertRecords(ctx context.Context, tx *database.Tx, r *network.Report, id func(int) int64, days kindSums) error {
	for _, k := range Kinds() {
		if !strings.HasPrefix(k.Table, "record_") {
			continue
		}
		rows := k.Rows(&r.Records)
		if rows.Len() == 0 {
			continue
		}
		names := []string{"id", "tap"}
		for i := range k.Columns {
			names = append(names, k.sql(&k.Columns[i]))
		}
		values := make([]any, len(names))
		_, err := tx.CopyIn(ctx, k.Table, names, rows.Len(), func(i int) []any {
			row := rows.Row(i)
			values[0], values[1] = id(i), string(r.Tap)
			size := rowOverhead
			for c := range k.Columns {
				values[c+2] = value(row, &k.Columns[c])
				size += sizeOf(values[c+2])
			}
			days.add(k.Name, *record.At[time.Time](row, &k.Columns[0]), size)
			return values
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// value is what stands in a cell as the database takes it.
func value(row record.Row, c *record.Column) any {
	switch v := row.Cell(c); c.Type {
	case record.Time:
		return record.At[time.Time](row, c).UnixMicro()
	case record.Duration:
		return record.At[time.Duration](row, c).Microseconds()
	case record.Addr:
		return database.Addr16(*record.At[netip.Addr](row, c))
	case record.MAC:
		return mac(*record.At[network.MAC](row, c))
	case record.List:
		return listText(*record.At[[]string](row, c))
	case record.Text:
		return v.String()
	case record.Bool:
		return truth(v.Bool())
	case record.Uint:
		return int64(min(v.Uint(), math.MaxInt64)) // a packet may claim any length
	default:
		return v.Int()
	}
}

// What a row takes beside its texts and addresses, roughly, of both engines:
// its header, its id, its tap, its places in indices.
const (
	rowOverhead = 100
	flowSize    = 200
	dnsSize     = 140
	tlsSize     = 130
	ledgerSize  = 160
	gapSize     = 100
)

func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)
	case []byte:
		return 1 + len(v)
	}
	return 5 // numbers: from 2 to 8
}

// kindSums counts rows for kind_days.
type kindSums map[kindDay]*kindSum

type kindDay struct {
	kind string
	us   int64
}

type kindSum struct{ rows, bytes int64 }

const day = 24 * time.Hour

func (s kindSums) add(kind string, at time.Time, size int) {
	key := kindDay{kind, floor(at.UnixMicro(), day.Microseconds())}
	sum := s[key]
	if sum == nil {
		sum = new(kindSum)
		s[key] = sum
	}
	sum.rows++
	sum.bytes += int64(size)
}

// others counts the rows that are no records.
func (s kindSums) others(r *network.Report) {
	for i := range r.Flows {
		s.add(KindFlows, r.Flows[i].Start, flowSize+len(r.Flows[i].App))
	}
	for i := range r.DNS {
		q := &r.DNS[i]
		size := dnsSize + len(q.Name)
		for _, a := range q.Answers {
			size += 3 + len(a)
		}
		s.add(KindDNS, q.Time, size)
	}
	for i := range r.TLS {
		s.add(KindTLS, r.TLS[i].Time, tlsSize+len(r.TLS[i].SNI))
	}
	for i := range r.Interfaces {
		s.add(KindLedgers, r.End, ledgerSize+len(r.Interfaces[i].Interface))
	}
	if r.Gap != nil {
		s.add(KindGaps, r.Gap.To, gapSize)
	}
}

func (s kindSums) upsert(ctx context.Context, tx *database.Tx, tap network.TapID) error {
	keys := make([]kindDay, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b kindDay) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.us, b.us)) })
	for part := range slices.Chunk(keys, 100) {
		var w where
		w.add("INSERT INTO kind_days AS t (kind, tap, day_us, seen, size_bytes) VALUES ")
		for i, key := range part {
			if i > 0 {
				w.add(", ")
			}
			w.add("(?, ?, ?, ?, ?)", key.kind, string(tap), key.us, s[key].rows, s[key].bytes)
		}
		w.add(" ON CONFLICT (kind, day_us, tap) DO UPDATE SET seen = t.seen + excluded.seen, size_bytes = t.size_bytes + excluded.size_bytes")
		if _, err := tx.Exec(ctx, w.sql.String(), w.args...); err != nil {
			return fmt.Errorf("counting the rows of a report: %w", err)
		}
	}
	return nil
}
