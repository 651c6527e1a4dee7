package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/rind-project/rind/internal/base/database"
)

type dialect struct{}

var _ database.Dialect = dialect{}

// Engine is SQLite.
func (dialect) Engine() database.Engine { return database.SQLite }

// LockMigrations is empty: BEGIN IMMEDIATE has the write lock already.
func (dialect) LockMigrations() string { return "" }

// A statement inserts up to 100 rows, which is where more rows stop to pay,
// and has at most 32766 parameters, which is SQLite's limit.
const (
	maxRows   = 100
	maxParams = 32766
)

// CopyIn inserts by statements of up to maxRows rows, prepared once.
func (dialect) CopyIn(ctx context.Context, _ *sql.Conn, tx *sql.Tx, table string, columns []string, n int, row func(i int) []any) (int64, error) {
	size := min(maxRows, maxParams/len(columns), n)
	if size == 0 {
		return 0, fmt.Errorf("%d columns are more than SQLite's limit of %d", len(columns), maxParams)
	}
	full, err := tx.PrepareContext(ctx, insert(table, columns, size))
	if err != nil {
		return 0, err
	}
	defer func() { _ = full.Close() }()
	args := make([]any, 0, size*len(columns))
	done := 0
	for ; n-done >= size; done += size {
		args = args[:0]
		for i := range size {
			args = append(args, row(done+i)...)
		}
		if _, err := full.ExecContext(ctx, args...); err != nil {
			return int64(done), err
		}
	}
	if done == n {
		return int64(n), nil
	}
	args = args[:0]
	for i := done; i < n; i++ {
		args = append(args, row(i)...)
	}
	if _, err := tx.ExecContext(ctx, insert(table, columns, n-done), args...); err != nil {
		return int64(done), err
	}
	return int64(n), nil
}

// Append inserts by statements of up to maxRows rows, prepared once.
func (dialect) Append(ctx context.Context, _ *sql.Conn, tx *sql.Tx, table string, columns []database.Column, n int, fill func(i int, r *database.Row)) (int64, error) {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	size := min(maxRows, maxParams/len(columns), n)
	if size == 0 {
		return 0, fmt.Errorf("%d columns are more than SQLite's limit of %d", len(columns), maxParams)
	}
	row := database.NewRow(columns, false)
	full, err := tx.PrepareContext(ctx, insert(table, names, size))
	if err != nil {
		return 0, err
	}
	defer func() { _ = full.Close() }()
	done := 0
	for done < n {
		rows := min(size, n-done)
		for i := range rows {
			row.Begin()
			fill(done+i, row)
			if err := row.End(); err != nil {
				return int64(done), err
			}
		}
		if rows == size {
			_, err = full.ExecContext(ctx, row.Values()...)
		} else {
			_, err = tx.ExecContext(ctx, insert(table, names, rows), row.Values()...)
		}
		if err != nil {
			return int64(done), err
		}
		done += rows
	}
	return int64(n), nil
}

// insert is the text that inserts a number of rows.
func insert(table string, columns []string, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `INSERT INTO "%s" ("%s") VALUES `, table, strings.Join(columns, `", "`))
	group := "(" + strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",") + ")"
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(group)
	}
	return b.String()
}

// Notify is empty: no other process has the file.
func (dialect) Notify() string { return "" }

// Listen is never called, since Notify is empty.
func (dialect) Listen(context.Context, string, func(string)) error {
	return errors.New("a SQLite database has no channels")
}

// State reads the size of the file and SQLite's version.
func (dialect) State(ctx context.Context, pool *sql.DB) (database.State, error) {
	s := database.State{Role: "primary", Connections: 1, Max: 1}
	err := pool.QueryRowContext(ctx, `SELECT sqlite_version(), (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())`).
		Scan(&s.Version, &s.SizeBytes)
	return s, err
}
