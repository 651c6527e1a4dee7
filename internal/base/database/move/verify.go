package move

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// sum is the number of rows and the sum of their hashes, which does not depend
// on their order.
type sum struct {
	rows int64
	a, b uint64
}

func (s sum) String() string { return fmt.Sprintf("%016x%016x", s.a, s.b) }

// verify reads both databases whole, and compares them.
func (m *mover) verify(ctx context.Context, tables []table) ([]Result, error) {
	var all []Result
	for _, t := range tables {
		want, err := m.total(ctx, m.from, t.leaves, t.columns)
		if err != nil {
			return all, fmt.Errorf("reading %s again: %w", t.name, err)
		}
		copies, err := m.list(ctx, m.to) // partitions may have been made meanwhile
		if err != nil {
			return all, err
		}
		got, err := m.total(ctx, m.to, copies[t.name], t.columns)
		if err != nil {
			return all, fmt.Errorf("reading %s in the target: %w", t.name, err)
		}
		if got != want {
			return all, errs.New(errs.Conflict, "the table %s has %d rows with the checksum %s here and %d rows with %s in the target: somebody wrote to one of them meanwhile; "+
				"stop every server, empty the target, and move again", t.name, want.rows, want, got.rows, got)
		}
		all = append(all, Result{Table: t.name, Rows: want.rows, Checksum: want.String()})
	}
	return all, nil
}

func (m *mover) total(ctx context.Context, db *database.DB, leaves, columns []string) (sum, error) {
	var s sum
	for _, leaf := range leaves {
		var part sum
		err := read(ctx, db, leaf, columns, first[db.Engine()], func(_ string, row []any) error {
			return part.add(row)
		})
		if err != nil {
			return s, err
		}
		s.rows, s.a, s.b = s.rows+part.rows, s.a+part.a, s.b+part.b
	}
	return s, nil
}

// add adds a row, whose values are written in a form that is the same on both
// engines: a truth value is the number that SQLite keeps for it.
func (s *sum) add(row []any) error {
	h := sha256.New()
	var head [9]byte
	put := func(kind byte, n uint64, body []byte) {
		head[0] = kind
		binary.BigEndian.PutUint64(head[1:], n)
		_, _ = h.Write(head[:]) // a hash takes everything
		_, _ = h.Write(body)
	}
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			put('n', 0, nil)
		case bool:
			n := uint64(0)
			if v {
				n = 1
			}
			put('i', n, nil)
		case int64:
			put('i', uint64(v), nil)
		case float64:
			put('f', math.Float64bits(v), nil)
		case string:
			put('t', uint64(len(v)), []byte(v))
		case []byte:
			put('b', uint64(len(v)), v)
		default:
			return fmt.Errorf("a value is a %T, which no table of rind has", v)
		}
	}
	d := h.Sum(nil)
	s.rows++
	s.a += binary.BigEndian.Uint64(d)
	s.b += binary.BigEndian.Uint64(d[8:])
	return nil
}
