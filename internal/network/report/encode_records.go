package report

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// recordAddrs numbers the addresses of all records, in the order in which
// records writes them.
func (e *Encoder) recordAddrs(r *network.Records) {
	for _, k := range record.Kinds() {
		rows := k.Rows(r)
		n := rows.Len()
		for c := range k.Columns {
			if column := &k.Columns[c]; n > 0 && column.Type == record.Addr {
				for i := range n {
					e.ends = append(e.ends, e.addrs.add(*addr(rows.Row(i), column)))
				}
			}
		}
	}
}

// records appends a message for each kind that has rows.
func (e *Encoder) records(r *network.Records, ends []uint32) {
	for _, k := range record.Kinds() {
		rows := k.Rows(r)
		n := rows.Len()
		if n == 0 {
			continue
		}
		m := appendString(e.kind[:0], kindName, k.Name)
		m = appendUint(m, kindRows, uint64(n))
		for c := range k.Columns {
			column := &k.Columns[c]
			e.open(2, 0)
			if column.Type == record.Addr {
				for _, i := range ends[:n] {
					e.put(0, uint64(i))
				}
				ends = ends[n:]
			} else {
				e.column(rows, column)
			}
			m = e.appendColumn(m, column)
		}
		e.kind = m
		e.rows = appendBytes(e.rows, fieldKind, m)
	}
}

// appendColumn appends what stands in the first two columns, unless it is all
// zero. A time is always told: it says that there are as many rows.
func (e *Encoder) appendColumn(m []byte, column *record.Column) []byte {
	values, elements := e.columns[0], e.columns[1]
	if column.Type != record.Time && zero(values) {
		return m
	}
	size := protowire.SizeTag(columnName) + protowire.SizeBytes(len(column.Name)) +
		protowire.SizeTag(columnValues) + protowire.SizeBytes(len(values))
	if !zero(elements) {
		size += protowire.SizeTag(columnElements) + protowire.SizeBytes(len(elements))
	}
	m = protowire.AppendTag(m, kindColumn, protowire.BytesType)
	m = protowire.AppendVarint(m, uint64(size))
	m = appendString(m, columnName, column.Name)
	m = appendBytes(m, columnValues, values)
	if !zero(elements) {
		m = appendBytes(m, columnElements, elements)
	}
	return m
}

// column puts the values of a column of all rows into the first of the
// encoder's columns, and the elements of lists into the second.
func (e *Encoder) column(rows record.Rows, c *record.Column) {
	var before int64
	for i := range rows.Len() {
		row := rows.Row(i)
		switch c.Type {
		case record.Time:
			at := record.At[time.Time](row, c).UnixMicro()
			e.put(0, protowire.EncodeZigZag(at-before))
			before = at
		case record.Duration:
			e.put(0, protowire.EncodeZigZag(record.At[time.Duration](row, c).Microseconds()))
		case record.MAC:
			e.put(0, e.macs.add(*record.At[network.MAC](row, c)))
		case record.Text:
			e.put(0, e.names.add(row.Cell(c).String()))
		case record.List:
			e.list(0, 1, *record.At[[]string](row, c), record.MaxList)
		case record.Bool:
			e.put(0, bit(row.Cell(c).Bool()))
		case record.Uint:
			e.put(0, row.Cell(c).Uint())
		case record.Int:
			e.put(0, protowire.EncodeZigZag(row.Cell(c).Int()))
		case record.Addr: // numbered before
		}
	}
}
