package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/rind-project/rind/internal/base/database"
)

// done is the place of a table all of whose rows are moved.
const done = "done"

// copy moves the rows of one table of the source that are not moved yet.
func (m *mover) copy(ctx context.Context, t table, leaf string) error {
	place, moved, err := m.reached(ctx, leaf)
	if err != nil || place == done {
		return err
	}
	var batch [][]any
	flush := func(last string) error {
		err := m.to.Tx(ctx, func(tx *database.Tx) error {
			if err := claim(ctx, tx); err != nil {
				return err
			}
			if _, err := tx.CopyIn(ctx, t.into, t.columns, len(batch), func(i int) []any { return batch[i] }); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO `+state+` (name, place, row_count) VALUES ($1, $2, $3)
				ON CONFLICT (name) DO UPDATE SET place = excluded.place, row_count = excluded.row_count`, leaf, last, moved+int64(len(batch)))
			return err
		})
		if err != nil {
			return err
		}
		moved += int64(len(batch))
		batch = batch[:0]
		if m.opts.Moved != nil {
			m.opts.Moved(t.name, moved)
		}
		return nil
	}
	err = read(ctx, m.from, leaf, t.columns, place, func(at string, row []any) error {
		for _, i := range t.truths {
			if n, ok := row[i].(int64); ok {
				row[i] = n != 0
			}
		}
		if batch = append(batch, row); len(batch) == batchRows {
			return flush(at)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush(done)
}

// reached is how far a table of the source is moved.
func (m *mover) reached(ctx context.Context, leaf string) (place string, rows int64, err error) {
	err = m.to.QueryRow(ctx, `SELECT place, row_count FROM `+state+` WHERE name = $1`, leaf).Scan(&place, &rows)
	if errors.Is(err, sql.ErrNoRows) {
		return first[m.from.Engine()], 0, nil
	}
	return place, rows, err
}

// read calls each with the rows after a place, in order, each of which is a
// slice of its own.
func read(ctx context.Context, db *database.DB, name string, columns []string, after string, each func(place string, row []any) error) error {
	q := fmt.Sprintf(catalogue[db.Engine()].rows, `"`+strings.Join(columns, `", "`)+`"`, name)
	if db.Engine() == database.SQLite {
		rows, err := db.Query(ctx, q, after)
		if err != nil {
			return err
		}
		return scan(rows, len(columns), each)
	}
	// A scan that begins in the middle, as one that meets another does, or
	// one by several workers would not go in the order of places.
	return db.Tx(ctx, func(tx *database.Tx) error {
		for _, set := range []string{`SET LOCAL synchronize_seqscans = off`, `SET LOCAL max_parallel_workers_per_gather = 0`, `SET LOCAL enable_tidscan = off`, `SET LOCAL statement_timeout = 0`} {
			if _, err := tx.Exec(ctx, set); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, q, after)
		if err != nil {
			return err
		}
		return scan(rows, len(columns), each)
	})
}

func scan(rows *sql.Rows, columns int, each func(place string, row []any) error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var place string
		row := make([]any, columns)
		dest := make([]any, 1, columns+1)
		dest[0] = &place
		for i := range row {
			dest = append(dest, &row[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil {
				row[i] = []byte{} // no bytes are not NULL
			}
		}
		if err := each(place, row); err != nil {
			return err
		}
	}
	return rows.Err()
}
