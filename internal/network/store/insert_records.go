package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// recordWriter writes the rows of one kind of network.Records.
func recordWriter(k Kind) writer {
	list := []database.Column{{Name: "id"}, {Name: "tap", Type: database.String}}
	for i := range k.Columns {
		list = append(list, database.Column{Name: k.sql(&k.Columns[i]), Type: appendType(&k.Columns[i])})
	}
	return writer{
		part: partOf(k.Table), columns: list,
		count: func(r *network.Report) int { return k.Rows(&r.Records).Len() },
		time: func(r *network.Report, i int) int64 {
			return record.At[time.Time](k.Rows(&r.Records).Row(i), &k.Columns[0]).UnixMicro()
		},
		fill: func(b *batch, i int, r *database.Row) {
			row := k.Rows(&b.Records).Row(i)
			r.Int(b.id(i))
			r.Text(string(b.Tap))
			size := rowOverhead
			for c := range k.Columns {
				size += fillCell(r, row, &k.Columns[c])
			}
			b.days.add(k.Name, b.Tap, *record.At[time.Time](row, &k.Columns[0]), size)
		},
	}
}

// appendType is the type of a column as Append takes it.
func appendType(c *record.Column) database.ColumnType {
	switch columnType(c) {
	case "BYTEA":
		return database.Bytes
	case "TEXT NOT NULL":
		return database.String
	case "SMALLINT NOT NULL":
		return database.Int16
	case "INTEGER NOT NULL":
		return database.Int32
	}
	return database.Int64
}

// fillCell writes a cell, and returns roughly how many bytes it takes.
func fillCell(r *database.Row, row record.Row, c *record.Column) int {
	switch v := row.Cell(c); c.Type {
	case record.Time:
		r.Int(record.At[time.Time](row, c).UnixMicro())
	case record.Duration:
		r.Int(record.At[time.Duration](row, c).Microseconds())
	case record.Addr:
		r.Addr(*record.At[netip.Addr](row, c))
		return 17
	case record.MAC:
		r.Bytes(mac(*record.At[network.MAC](row, c)))
		return 7
	case record.List:
		text := listText(*record.At[[]string](row, c))
		r.Text(text)
		return 1 + len(text)
	case record.Text:
		r.Text(v.String())
		return 1 + len(v.String())
	case record.Bool:
		r.Bool(v.Bool())
	case record.Uint:
		r.Int(int64(min(v.Uint(), math.MaxInt64))) // a packet may claim any length
	default:
		r.Int(v.Int())
	}
	return 5 // numbers: from 2 to 8
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

// kindSums counts rows for kind_days.
type kindSums map[kindDay]*kindSum

type kindDay struct {
	kind string
	us   int64
	tap  network.TapID
}

type kindSum struct{ rows, bytes int64 }

func (s kindSums) add(kind string, tap network.TapID, at time.Time, size int) {
	key := kindDay{kind, floor(at.UnixMicro(), day.Microseconds()), tap}
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
		s.add(KindFlows, r.Tap, r.Flows[i].Start, flowSize+len(r.Flows[i].App))
	}
	for i := range r.DNS {
		q := &r.DNS[i]
		size := dnsSize + len(q.Name)
		for _, a := range q.Answers {
			size += 3 + len(a)
		}
		s.add(KindDNS, r.Tap, q.Time, size)
	}
	for i := range r.TLS {
		s.add(KindTLS, r.Tap, r.TLS[i].Time, tlsSize+len(r.TLS[i].SNI))
	}
	for i := range r.Interfaces {
		s.add(KindLedgers, r.Tap, r.End, ledgerSize+len(r.Interfaces[i].Interface))
	}
	if r.Gap != nil {
		s.add(KindGaps, r.Tap, r.Gap.To, gapSize)
	}
}

func (s kindSums) upsert(ctx context.Context, tx *database.Tx) error {
	keys := make([]kindDay, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b kindDay) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.us, b.us), cmp.Compare(a.tap, b.tap))
	})
	for part := range slices.Chunk(keys, 100) {
		var w where
		w.add("INSERT INTO kind_days AS t (kind, tap, day_us, seen, size_bytes) VALUES ")
		for i, key := range part {
			if i > 0 {
				w.add(", ")
			}
			w.add("(?, ?, ?, ?, ?)", key.kind, string(key.tap), key.us, s[key].rows, s[key].bytes)
		}
		w.add(" ON CONFLICT (kind, day_us, tap) DO UPDATE SET seen = t.seen + excluded.seen, size_bytes = t.size_bytes + excluded.size_bytes")
		if _, err := tx.Exec(ctx, w.sql.String(), w.args...); err != nil {
			return fmt.Errorf("counting rows by kind and day: %w", err)
		}
	}
	return nil
}
