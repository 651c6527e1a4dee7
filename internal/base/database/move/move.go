// Package move copies everything in one database into another, of the other
// engine: table by table in batches, each of which is written together with the
// place that it reached, so that a move that was interrupted goes on where it
// was; and compares the two afterwards, row by row in sums that do not depend
// on the order. Nobody else may use either database meanwhile.
package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// batchRows is how many rows are written in one transaction.
const batchRows = 5000

// Options say what is moved.
type Options struct {
	// Skip are tables that are not moved.
	Skip []string
	// Whole is the table that a table is a partition of, or the table itself.
	// It may be nil.
	Whole func(table string) string
	// Moved is told of each batch. It may be nil.
	Moved func(table string, rows int64)
}

// Result is a table that was moved and verified.
type Result struct {
	Table    string `json:"table"`
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum"` // of all rows, in any order
}

// state is the table in the target that says how far the move is. It is gone
// when the move is complete.
const state = "move_state"

const createState = `CREATE TABLE IF NOT EXISTS ` + state + ` (name TEXT PRIMARY KEY, place TEXT NOT NULL, row_count BIGINT NOT NULL)`

// claim locks the move in the target until the transaction ends. Every batch
// takes it first, so that a move that goes on after another was killed waits for
// the batch that the server may still be committing for that one.
func claim(ctx context.Context, tx *database.Tx) error {
	n, err := tx.Exec(ctx, `UPDATE `+state+` SET row_count = row_count WHERE name = ''`)
	if err == nil && n != 1 {
		return errors.New("nobody has claimed it")
	}
	return err
}

// mover is one move.
type mover struct {
	from, to *database.DB
	opts     Options
}

// Prepare claims an empty target for a move from a source, or finds that it was
// claimed for the same one before. The schema is made in it afterwards, and
// then Run is called.
func Prepare(ctx context.Context, to *database.DB, source string) error {
	all, err := texts(ctx, to, catalogue[to.Engine()].leaves)
	if err != nil {
		return fmt.Errorf("reading the target's catalogue: %w", err)
	}
	if !slices.Contains(all, state) && len(all) > 0 {
		do := "name a new database"
		if to.Engine() == database.SQLite {
			do = "put its file elsewhere first"
		}
		return errs.New(errs.Conflict, "the target is not empty (there is a table %s), and a move replaces nothing: %s", all[0], do)
	}
	return to.Tx(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, createState); database.IsDenied(err) {
			return errs.New(errs.Invalid, "the target's user may not make tables in it: %w; make the user its owner (ALTER DATABASE name OWNER TO user)", err)
		} else if err != nil {
			return fmt.Errorf("making the table %s in the target: %w", state, err)
		}
		var from string
		err := tx.QueryRow(ctx, `SELECT place FROM `+state+` WHERE name = ''`).Scan(&from)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			_, err = tx.Exec(ctx, `INSERT INTO `+state+` (name, place, row_count) VALUES ('', $1, 0)`, source)
			return err
		case err == nil && from != source:
			return errs.New(errs.Conflict, "the target holds an unfinished move from %s: go on with that one, or name a new database", from)
		}
		return err
	})
}

// Run moves all rows into a target that is prepared. Both databases have the
// same schema by then.
func Run(ctx context.Context, from, to *database.DB, opts Options) ([]Result, error) {
	if from.Engine() == to.Engine() {
		return nil, errs.New(errs.Invalid, "both databases are %s: use its own tools to copy one (pg_dump, or a copy of the file)", from.Engine())
	}
	if opts.Whole == nil {
		opts.Whole = func(table string) string { return table }
	}
	m := &mover{from: from, to: to, opts: opts}
	tables, err := m.plan(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.begin(ctx, tables); err != nil {
		return nil, err
	}
	for _, t := range tables {
		for _, leaf := range t.leaves {
			if err := m.copy(ctx, t, leaf); err != nil {
				return nil, fmt.Errorf("moving %s: %w; what was moved stays, run the same command again to go on", leaf, err)
			}
		}
	}
	results, err := m.verify(ctx, tables)
	if err != nil {
		return results, err
	}
	_, err = to.Exec(ctx, `DROP TABLE `+state)
	return results, err
}

// begin empties the tables of the target once: the schema comes with some rows.
func (m *mover) begin(ctx context.Context, tables []table) error {
	return m.to.Tx(ctx, func(tx *database.Tx) error {
		if err := claim(ctx, tx); err != nil {
			return fmt.Errorf("the target is not prepared for a move: %w", err)
		}
		var begun int64
		if err := tx.QueryRow(ctx, `SELECT row_count FROM `+state+` WHERE name = ''`).Scan(&begun); err != nil {
			return err
		}
		if begun > 0 {
			return nil
		}
		for _, t := range slices.Backward(tables) {
			for _, leaf := range t.copies {
				if _, err := tx.Exec(ctx, `DELETE FROM `+leaf); err != nil {
					return fmt.Errorf("emptying the target's table %s: %w", leaf, err)
				}
			}
		}
		_, err := tx.Exec(ctx, `UPDATE `+state+` SET row_count = 1 WHERE name = ''`)
		return err
	})
}

// table is a table as both databases know it.
type table struct {
	name    string
	into    string   // the table of the target that takes its rows
	columns []string // sorted
	leaves  []string // tables of the source that hold its rows: itself, or its partitions
	copies  []string // tables of the target that hold its rows afterwards
	needs   []string // tables that its rows point at
	truths  []int    // columns that the target keeps as truth values
}

// plan lists the tables in an order in which rows come after those that they
// point at.
func (m *mover) plan(ctx context.Context) ([]table, error) {
	source, err := m.list(ctx, m.from)
	if err != nil {
		return nil, err
	}
	target, err := m.list(ctx, m.to)
	if err != nil {
		return nil, err
	}
	lite := m.from
	if lite.Engine() != database.SQLite {
		lite = m.to
	}
	byName := map[string]table{}
	for name, leaves := range source {
		t := table{name: name, leaves: leaves, copies: target[name]}
		if len(t.copies) == 0 {
			return nil, errs.New(errs.Conflict, "the target has no table %s: both databases need the schema of this version of rind", name)
		}
		if t.columns, err = columns(ctx, m.from, leaves[0]); err != nil {
			return nil, err
		}
		theirs, err := columns(ctx, m.to, t.copies[0])
		if err != nil {
			return nil, err
		}
		if !slices.Equal(t.columns, theirs) {
			return nil, errs.New(errs.Conflict, "the table %s has the columns %s here and %s in the target", name, strings.Join(t.columns, ", "), strings.Join(theirs, ", "))
		}
		if t.into, err = m.taker(ctx, t); err != nil {
			return nil, err
		}
		if t.truths, err = m.truths(ctx, t); err != nil {
			return nil, err
		}
		if t.needs, err = texts(ctx, lite, `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1) ORDER BY 1`, name); err != nil {
			return nil, err
		}
		byName[name] = t
	}
	return ordered(byName), nil
}

// truths are the columns that are truth values in the target; SQLite has
// numbers for them.
func (m *mover) truths(ctx context.Context, t table) ([]int, error) {
	q := catalogue[m.to.Engine()].truths
	if q == "" {
		return nil, nil
	}
	names, err := texts(ctx, m.to, q, t.copies[0])
	var all []int
	for _, name := range names {
		all = append(all, slices.Index(t.columns, name))
	}
	return all, err
}

// taker is the table of the target that takes any row of a table: itself, also
// when it is partitioned, or the partition that takes the rest when it is only
// a view of its partitions.
func (m *mover) taker(ctx context.Context, t table) (string, error) {
	tables, err := texts(ctx, m.to, catalogue[m.to.Engine()].takers)
	if err != nil {
		return "", err
	}
	for _, name := range []string{t.name, t.name + "_rest"} {
		if slices.Contains(tables, name) {
			return name, nil
		}
	}
	return "", errs.New(errs.Conflict, "no table of the target takes the rows of %s", t.name)
}

// list gives the tables that hold rows, by the table that they are part of.
func (m *mover) list(ctx context.Context, db *database.DB) (map[string][]string, error) {
	all, err := texts(ctx, db, catalogue[db.Engine()].leaves)
	if err != nil {
		return nil, fmt.Errorf("listing the tables of the %s database: %w", db.Engine(), err)
	}
	out := map[string][]string{}
	for _, name := range all {
		whole := m.opts.Whole(name)
		if whole != state && whole != "schema_history" && !slices.Contains(m.opts.Skip, whole) {
			out[whole] = append(out[whole], name)
		}
	}
	return out, nil
}

// ordered sorts by what tables need, and by name.
func ordered(all map[string]table) []table {
	var out []table
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		t, ok := all[name]
		if !ok || done[name] {
			return
		}
		done[name] = true
		for _, n := range t.needs {
			visit(n)
		}
		out = append(out, t)
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		visit(name)
	}
	return out
}
