package move

import (
	"context"
	"fmt"
	"regexp"

	"github.com/rind-project/rind/internal/base/database"
)

// questions are what is asked of an engine's catalogue.
type questions struct {
	leaves  string // tables that hold rows themselves
	takers  string // tables into which rows can be written
	columns string // of the table $1, sorted
	truths  string // those of the table $1 that are truth values; "" where they are numbers
	rows    string // all rows of a table after a place, in the order of places
}

// A place is where a row lies: the rowid on SQLite, the ctid on PostgreSQL,
// where a plain scan goes through them in order. Both hold as long as nobody
// changes the table.
var catalogue = map[database.Engine]questions{
	database.SQLite: {
		leaves:  `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`,
		takers:  `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`,
		columns: `SELECT name FROM pragma_table_info($1) ORDER BY name`,
		rows:    `SELECT CAST(rowid AS TEXT), %s FROM %s WHERE rowid > CAST($1 AS INTEGER) ORDER BY rowid`,
	},
	database.PostgreSQL: {
		leaves: `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relkind = 'r' ORDER BY 1`,
		takers: `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') ORDER BY 1`,
		columns: `SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relname = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname COLLATE "C"`,
		truths: `SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relname = $1 AND a.atttypid = CAST('bool' AS regtype)`,
		rows: `SELECT CAST(ctid AS TEXT), %s FROM ONLY %s WHERE ctid > CAST(CAST($1 AS TEXT) AS TID)`,
	},
}

// first is the place before all rows.
var first = map[database.Engine]string{database.SQLite: "-9223372036854775808", database.PostgreSQL: "(0,0)"}

var plain = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// texts reads one column of names.
func texts(ctx context.Context, db *database.DB, q string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		if !plain.MatchString(s) {
			return nil, fmt.Errorf("%q is no name that rind gives", s)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

func columns(ctx context.Context, db *database.DB, name string) ([]string, error) {
	all, err := texts(ctx, db, catalogue[db.Engine()].columns, name)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", name, err)
	}
	return all, nil
}
