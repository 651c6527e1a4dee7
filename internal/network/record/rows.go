package record

import (
	"reflect"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// Rows is the list of one kind in a report. Reading and writing its cells
// allocates nothing.
type Rows struct{ list reflect.Value }

// Rows returns the list of this kind.
func (k *Kind) Rows(r *network.Records) Rows {
	return Rows{reflect.ValueOf(r).Elem().Field(k.field)}
}

// Len is the number of rows.
func (r Rows) Len() int { return r.list.Len() }

// Make replaces the list by n empty rows.
func (r Rows) Make(n int) { r.list.Set(reflect.MakeSlice(r.list.Type(), n, n)) }

// Row returns one of the rows, to be read and written.
func (r Rows) Row(i int) Row { return Row{r.list.Index(i)} }

// Row is one row of a kind.
type Row struct{ value reflect.Value }

// New makes an empty row.
func (k *Kind) New() Row { return Row{reflect.New(k.row).Elem()} }

// Pointer is a pointer to the row's struct, for encoding/json.
func (r Row) Pointer() any { return r.value.Addr().Interface() }

// Cell is the field of a column.
func (r Row) Cell(c *Column) reflect.Value {
	v := r.value
	for _, i := range c.index {
		v = v.Field(i)
	}
	return v
}

// At points to the field of a column, which has the type T.
func At[T any](r Row, c *Column) *T { return r.Cell(c).Addr().Interface().(*T) }

// Count is the number of rows of all kinds.
func Count(r *network.Records) int {
	n := 0
	for _, k := range Kinds() {
		n += k.Rows(r).Len()
	}
	return n
}

// Append adds the rows of other behind those of r.
func Append(r, other *network.Records) {
	for _, k := range Kinds() {
		if more := k.Rows(other); more.Len() > 0 {
			rows := k.Rows(r)
			rows.list.Set(reflect.AppendSlice(rows.list, more.list))
		}
	}
}

// Cut takes the first n rows, of all kinds together, off the rest.
func Cut(r network.Records, n int) (head, rest network.Records) {
	for _, k := range Kinds() {
		all := k.Rows(&r).list
		m := min(n, all.Len())
		n -= m
		if m > 0 {
			k.Rows(&head).list.Set(all.Slice3(0, m, m))
		}
		if m < all.Len() {
			k.Rows(&rest).list.Set(all.Slice(m, all.Len()))
		}
	}
	return head, rest
}

// Set replaces one of the rows.
func (r Rows) Set(i int, row Row) { r.list.Index(i).Set(row.value) }

// Append adds a row.
func (r Rows) Append(row Row) { r.list.Set(reflect.Append(r.list, row.value)) }

// EachTime calls f with every time in the records.
func EachTime(r *network.Records, f func(*time.Time)) {
	for _, k := range Kinds() {
		rows := k.Rows(r)
		for c := range k.Columns {
			if k.Columns[c].Type != Time {
				continue
			}
			for i := range rows.Len() {
				f(At[time.Time](rows.Row(i), &k.Columns[c]))
			}
		}
	}
}
