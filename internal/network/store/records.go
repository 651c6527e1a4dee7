package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// RecordQuery says which rows of a kind are asked for. Zero fields ask for all.
type RecordQuery struct {
	Kind     string
	From, To time.Time
	Tap      network.TapID
	// Filters are texts by the keys of columns. An address may be a network; a
	// text may begin with "*" or end with it, and then case is ignored.
	Filters map[string]string
	Limit   int
	Before  Cursor
}

// Record is a row of a kind as a tap reported it, with its place in the list.
type Record struct {
	ID  int64
	Tap network.TapID
	record.Row
	// Vendor is who the row's first hardware address was assigned to, as the
	// node that answers knows it; "" when it does not.
	Vendor string
	time   time.Time
}

// NewRecord makes a record; what it holds of the kind's columns stands in row.
func NewRecord(k Kind, id int64, tap network.TapID, row record.Row) Record {
	return Record{ID: id, Tap: tap, Row: row, time: *record.At[time.Time](row, &k.Columns[0])}
}

// Cursor returns the place of this row, for RecordQuery.Before.
func (r Record) Cursor() Cursor { return Cursor{r.time, r.ID} }

// MarshalJSON writes the row's columns behind its number and its tap.
func (r Record) MarshalJSON() ([]byte, error) {
	columns, err := json.Marshal(r.Pointer())
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(struct {
		Row    int64         `json:"row,string"` // a JSON number would be rounded beyond 2^53
		Tap    network.TapID `json:"tap"`
		Vendor string        `json:"vendor,omitempty"`
	}{r.ID, r.Tap, r.Vendor})
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{head[:len(head)-1], columns[1:]}, []byte{','}), nil
}

// Validate says what is wrong with the kind and the filters.
func (q RecordQuery) Validate() error {
	_, _, err := q.condition()
	return err
}

// condition is what a row must be like.
func (q RecordQuery) condition() (k Kind, w *where, err error) {
	w = new(where)
	k, ok := FindKind(q.Kind)
	if !ok {
		return k, w, errs.New(errs.NotFound, "there is no kind of records %.64q: see `rind record list`", q.Kind)
	}
	if k.Own != "" {
		return k, w, errs.New(errs.Invalid, "%s have a list of their own: ask /api/v1%s", k.Name, k.Own)
	}
	w.tap(q.Tap)
	return k, w, w.filters(k, q.Filters)
}

// Records returns rows of one kind from new to old.
func (s *Store) Records(ctx context.Context, q RecordQuery) ([]Record, error) {
	k, w, err := q.condition()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(k.Columns))
	for i := range k.Columns {
		names[i] = k.quoted(&k.Columns[i])
	}
	out, err := newest(ctx, s, partOf(k.Table), "id, tap, "+strings.Join(names, ", "), w, s.pageOf(q.From, q.To, q.Before, q.Limit), k.scan)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", k.Name, err)
	}
	s.vendors(k, out)
	return out, nil
}

// filters asks for what the columns must hold.
func (w *where) filters(k Kind, filters map[string]string) error {
	known := k.Filters()
	for _, key := range slices.Sorted(maps.Keys(filters)) {
		i := slices.IndexFunc(known, func(c *record.Column) bool { return c.Key == key })
		if i < 0 {
			return errs.New(errs.Invalid, "%s cannot be filtered by %.64q: give one of %s", k.Name, key, strings.Join(keys(known), ", "))
		}
		if filters[key] == "" {
			continue
		}
		if err := w.filter(k.quoted(known[i]), known[i], filters[key]); err != nil {
			return errs.New(errs.Invalid, "filter %q: %w", key, err)
		}
	}
	return nil
}

func keys(columns []*record.Column) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.Key)
	}
	return out
}

func (w *where) filter(column string, c *record.Column, text string) error {
	switch c.Type {
	case record.Addr:
		p, err := parseNet(text)
		if err != nil {
			return err
		}
		first, last := database.PrefixRange(p)
		w.and(column+" BETWEEN ? AND ?", first, last)
	case record.MAC:
		var m network.MAC
		if err := m.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%.64q is no hardware address such as 02:00:00:00:00:01", text)
		}
		w.and(column+" = ?", m[:])
	case record.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%.64q is neither true nor false", text)
		}
		w.and(column+" = ?", truth(b))
	case record.Uint, record.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%.64q is no whole number", text)
		}
		w.and(column+" = ?", n)
	default:
		w.text(column, text)
	}
	return nil
}

// text asks for a text: with "*" at either end, for what ends or begins so.
func (w *where) text(column, text string) {
	text = database.Text(text)
	rest, begin := strings.CutPrefix(text, "*")
	rest, end := strings.CutSuffix(rest, "*")
	if !begin && !end {
		w.and(column+" = ?", text)
		return
	}
	like := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(rest))
	if begin {
		like = "%" + like
	}
	if end {
		like += "%"
	}
	w.and("LOWER("+column+`) LIKE ? ESCAPE '\'`, like)
}

func parseNet(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%.64q is no address, and no network such as 192.0.2.0/24", text)
	}
	return p.Masked(), nil
}

// scan reads a row of the kind's table.
func (k Kind) scan(from scanner) (Record, error) {
	r := Record{Row: k.New()}
	into := []any{&r.ID, &r.Tap}
	cells := make([]cell, len(k.Columns))
	for i := range k.Columns {
		into = append(into, cells[i].into(&k.Columns[i]))
	}
	if err := from.Scan(into...); err != nil {
		return r, err
	}
	for i := range k.Columns {
		cells[i].set(r.Row, &k.Columns[i])
	}
	r.time = *record.At[time.Time](r.Row, &k.Columns[0])
	return r, nil
}

// cell takes what the database has in a column.
type cell struct {
	number int64
	text   string
	bytes  []byte
}

func (v *cell) into(c *record.Column) any {
	switch c.Type {
	case record.Addr, record.MAC:
		return &v.bytes
	case record.Text, record.List:
		return &v.text
	}
	return &v.number
}

func (v *cell) set(row record.Row, c *record.Column) {
	switch to := row.Cell(c); c.Type {
	case record.Time:
		*record.At[time.Time](row, c) = micros(v.number)
	case record.Duration:
		to.SetInt(v.number * int64(time.Microsecond))
	case record.Addr:
		*record.At[netip.Addr](row, c) = database.AddrFrom16(v.bytes)
	case record.MAC:
		copy(record.At[network.MAC](row, c)[:], v.bytes)
	case record.Text:
		to.SetString(v.text)
	case record.List:
		*record.At[[]string](row, c) = textList(v.text)
	case record.Bool:
		to.SetBool(v.number != 0)
	case record.Uint:
		to.SetUint(uint64(v.number))
	case record.Int:
		to.SetInt(v.number)
	}
}
