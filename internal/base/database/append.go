package database

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// ColumnType is what a column that Append fills holds: on PostgreSQL, how many
// bytes a number has.
type ColumnType uint8

// The types: BIGINT, INTEGER, SMALLINT, TEXT and BYTEA.
const (
	Int64 ColumnType = iota
	Int32
	Int16
	String
	Bytes
)

// Column is a column that Append fills.
type Column struct {
	Name string
	Type ColumnType
}

// Row takes the values of one row, in the order of the columns. It writes them
// as the engine takes them: binary for COPY, or as values for a statement.
type Row struct {
	columns []Column
	at      int
	binary  bool
	buf     []byte // rows for COPY
	values  []any  // rows for a statement
	err     error
}

// NewRow makes a row for a driver: in binary for PostgreSQL's COPY, or as
// values.
func NewRow(columns []Column, binary bool) *Row { return &Row{columns: columns, binary: binary} }

// Begin begins a row.
func (r *Row) Begin() {
	r.at = 0
	if r.binary {
		r.buf = binary.BigEndian.AppendUint16(r.buf, uint16(len(r.columns)))
	}
}

// End says whether the row is whole.
func (r *Row) End() error {
	if r.err == nil && r.at != len(r.columns) {
		r.err = fmt.Errorf("a row has %d values for %d columns", r.at, len(r.columns))
	}
	return r.err
}

// Take returns the rows in binary and forgets them; the bytes are valid until
// the next Begin.
func (r *Row) Take() []byte {
	b := r.buf
	r.buf = r.buf[:0]
	return b
}

// Len is how many bytes of rows are there.
func (r *Row) Len() int { return len(r.buf) }

// Values returns the values of all rows and forgets them; they are valid until
// the next Begin.
func (r *Row) Values() []any {
	v := r.values
	r.values = r.values[:0]
	return v
}

// next returns the type of the column that comes, and notes a value of a wrong
// one.
func (r *Row) next(number, text bool) ColumnType {
	if r.at >= len(r.columns) {
		r.fail("has more than %d values", len(r.columns))
		return Bytes
	}
	c := r.columns[r.at]
	r.at++
	if number != (c.Type <= Int16) || text != (c.Type == String) {
		r.fail("has a value of another type for column %q", c.Name)
	}
	return c.Type
}

func (r *Row) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("a row "+format, args...)
	}
}

// Int adds a number.
func (r *Row) Int(v int64) {
	t := r.next(true, false)
	if !r.binary {
		r.values = append(r.values, v)
		return
	}
	switch t {
	case Int64:
		r.buf = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(r.buf, 8), uint64(v))
	case Int32:
		if v < math.MinInt32 || v > math.MaxInt32 {
			r.fail("has %d for column %q, which is too much for INTEGER", v, r.columns[r.at-1].Name)
		}
		r.buf = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(r.buf, 4), uint32(v))
	default:
		if v < math.MinInt16 || v > math.MaxInt16 {
			r.fail("has %d, which is too much for SMALLINT", v)
		}
		r.buf = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(r.buf, 2), uint16(v))
	}
}

// Bool adds 1 or 0.
func (r *Row) Bool(v bool) {
	if v {
		r.Int(1)
	} else {
		r.Int(0)
	}
}

// Null adds a value of any type that is not known.
func (r *Row) Null() {
	if r.at >= len(r.columns) {
		r.fail("has more than %d values", len(r.columns))
		return
	}
	r.at++
	if !r.binary {
		r.values = append(r.values, nil)
		return
	}
	r.buf = binary.BigEndian.AppendUint32(r.buf, 1<<32-1) // the length of NULL
}

// Text adds a text.
func (r *Row) Text(s string) {
	r.next(false, true)
	if !r.binary {
		r.values = append(r.values, s)
		return
	}
	r.buf = append(binary.BigEndian.AppendUint32(r.buf, uint32(len(s))), s...)
}

// Bytes adds bytes; nil is NULL. The bytes may be used again afterwards.
func (r *Row) Bytes(b []byte) {
	r.next(false, false)
	switch {
	case !r.binary && b == nil:
		r.values = append(r.values, nil)
	case !r.binary:
		r.values = append(r.values, append([]byte{}, b...))
	case b == nil:
		r.buf = binary.BigEndian.AppendUint32(r.buf, math.MaxUint32)
	default:
		r.buf = append(binary.BigEndian.AppendUint32(r.buf, uint32(len(b))), b...)
	}
}

// Addr adds an address as Addr16 has it.
func (r *Row) Addr(a netip.Addr) {
	if !a.IsValid() {
		r.Bytes(nil)
		return
	}
	b := a.As16()
	r.Bytes(b[:])
}

// Append appends n rows to a table without making a value of each cell first:
// by COPY in its binary form on PostgreSQL, by prepared statements of up to
// 100 rows on SQLite. fill writes row i, of 0 … n-1 in order. It returns the
// number of rows appended.
func (tx *Tx) Append(ctx context.Context, table string, columns []Column, n int, fill func(i int, r *Row)) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	if len(columns) == 0 {
		return 0, fmt.Errorf("appending to %s: no columns are named", table)
	}
	if !identifier.MatchString(table) {
		return 0, fmt.Errorf("appending to a table: %q is not a name in lower case", table)
	}
	for i := range columns {
		if !identifier.MatchString(columns[i].Name) {
			return 0, fmt.Errorf("appending to %s: %q is not a name in lower case", table, columns[i].Name)
		}
	}
	appended, err := tx.dialect.Append(ctx, tx.conn, tx.tx, table, columns, n, fill)
	if err != nil {
		return appended, fmt.Errorf("appending %d rows to %s: %w", n, table, err)
	}
	return appended, nil
}
