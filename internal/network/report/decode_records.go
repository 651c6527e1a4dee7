package report

import (
	"math"
	"net/netip"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// maxKinds is how many kinds of records a report names at most, those of taps
// to come among them.
const maxKinds = 256

// maxMicros is the longest duration in microseconds that fits into one of
// nanoseconds.
const maxMicros = math.MaxInt64 / 1000

func addr(row record.Row, c *record.Column) *netip.Addr { return record.At[netip.Addr](row, c) }

// kindMessage is the rows of one kind on the wire.
type kindMessage struct {
	name    string
	rows    uint64
	columns []columnMessage
}

type columnMessage struct {
	name             string
	values, elements []byte
}

// records reads the messages of all kinds. The rows of all kinds together are
// bounded, since a row that is nearly empty takes little on the wire and much
// in memory.
func (p *parser) records() error {
	total := uint64(0)
	for _, b := range p.kinds {
		m, err := p.kindMessage(b)
		if err != nil {
			return err
		}
		limit := uint64(p.limits.Rows)
		if m.rows > limit || total+m.rows > limit {
			return tooLarge("more than %d rows of records, at most that many are taken", limit)
		}
		k, known := record.Find(m.name)
		if !known { // of a newer tap
			p.skipped += m.rows
			continue
		}
		total += m.rows
		if p.kindSizes == nil {
			p.kindSizes = map[string]int{}
		}
		p.kindSizes[k.Name] += len(b)
		if err := p.kind(k, m); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) kindMessage(b []byte) (m kindMessage, err error) {
	err = fields(b, func(n protowire.Number, v uint64, b []byte) (err error) {
		switch n {
		case kindName:
			m.name, err = p.text(b)
		case kindRows:
			m.rows = v
		case kindColumn:
			if len(m.columns) >= maxKinds {
				return tooLarge("more than %d columns of one kind", maxKinds)
			}
			var c columnMessage
			err = fields(b, func(n protowire.Number, _ uint64, b []byte) (err error) {
				switch n {
				case columnName:
					c.name, err = p.text(b)
				case columnValues:
					c.values = b
				case columnElements:
					c.elements = b
				}
				return err
			})
			m.columns = append(m.columns, c)
		}
		return err
	})
	return m, err
}

func (p *parser) kind(k *record.Kind, m kindMessage) error {
	rows := k.Rows(&p.out.Records)
	if rows.Len() > 0 {
		return invalid("the kind %s stands there twice", k.Name)
	}
	// Each row has a time of its own, hence a byte at least in the column of
	// times: what is not there takes no memory.
	timed := false
	for _, c := range m.columns {
		timed = timed || c.name == k.Columns[0].Name && uint64(len(c.values)) >= m.rows
	}
	if m.rows == 0 {
		return nil
	}
	if !timed {
		return invalid("%d rows of %s are announced, their times end before", m.rows, k.Name)
	}
	if !p.take(int(m.rows) * k.Size()) {
		return p.err
	}
	rows.Make(int(m.rows))
	seen := map[string]bool{}
	for i := range m.columns {
		in := &m.columns[i]
		c := k.Named(in.name)
		if c == nil || len(in.values) == 0 { // of a newer tap, or all zero
			continue
		}
		if seen[in.name] {
			return invalid("the column %s of %s stands there twice", in.name, k.Name)
		}
		seen[in.name] = true
		cs := [2]cursor{{b: in.values, present: true}, {b: in.elements, present: len(in.elements) > 0}}
		p.column(rows, c, &cs[0], &cs[1])
		if err := p.finish("column "+c.Name+" of "+k.Name, cs[:]); err != nil {
			return err
		}
	}
	return nil
}

// column fills a column of all rows.
func (p *parser) column(rows record.Rows, c *record.Column, values, elements *cursor) {
	var at int64
	addrs, names, macs := p.lastAddr(), p.lastName(), uint64(len(p.macs)/6)
	for i := range rows.Len() {
		row := rows.Row(i)
		switch c.Type {
		case record.Time:
			at += values.signed()
			*record.At[time.Time](row, c) = micros(at)
		case record.Duration:
			us := values.within(-maxMicros, maxMicros)
			*record.At[time.Duration](row, c) = time.Duration(us) * time.Microsecond
		case record.Addr:
			*addr(row, c) = p.addr(values.next(addrs))
		case record.MAC:
			*record.At[network.MAC](row, c) = p.mac(values.next(macs))
		case record.Text:
			row.Cell(c).SetString(p.name(values.next(names)))
		case record.List:
			*record.At[[]string](row, c) = p.list(values, elements, record.MaxList)
		case record.Bool:
			row.Cell(c).SetBool(values.next(1) == 1)
		case record.Uint:
			row.Cell(c).SetUint(values.next(math.MaxUint64 >> (64 - c.Bits)))
		case record.Int:
			row.Cell(c).SetInt(values.within(math.MinInt64>>(64-c.Bits), math.MaxInt64>>(64-c.Bits)))
		}
		if values.bad || elements.bad {
			return
		}
	}
}

// within returns the next signed value, which must not lie beyond the bounds.
func (c *cursor) within(low, high int64) int64 {
	v := c.signed()
	if v < low || v > high {
		c.bad = true
		return 0
	}
	return v
}
