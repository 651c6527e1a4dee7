package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rind-project/rind/internal/base/database"
)

type dialect struct {
	listen *pgx.ConnConfig // of the connection that listens: never through a pooler
}

var _ database.Dialect = dialect{}

// Engine is PostgreSQL.
func (dialect) Engine() database.Engine { return database.PostgreSQL }

// LockMigrations waits for an advisory lock that ends with the transaction, so
// that it holds behind a pooler too. The key is of the schema, since advisory
// locks are of the whole database.
func (dialect) LockMigrations() string {
	return `SELECT pg_advisory_xact_lock(hashtextextended('rind migrate ' || COALESCE(current_schema(), ''), 0))`
}

// CopyIn streams the rows with COPY in the binary format.
func (dialect) CopyIn(ctx context.Context, conn *sql.Conn, _ *sql.Tx, table string, columns []string, n int, row func(i int) []any) (int64, error) {
	var copied int64
	// The transaction is of this connection, so COPY is part of it.
	err := conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver is a %T", driver)
		}
		var err error
		copied, err = c.Conn().CopyFrom(ctx, pgx.Identifier{table}, columns,
			pgx.CopyFromSlice(n, func(i int) ([]any, error) { return row(i), nil }))
		return err
	})
	return copied, err
}

// Append streams the rows with COPY as they are written.
func (dialect) Append(ctx context.Context, conn *sql.Conn, _ *sql.Tx, table string, columns []database.Column, n int, fill func(i int, r *database.Row)) (int64, error) {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	text := `COPY "` + table + `" ("` + strings.Join(names, `", "`) + `") FROM STDIN BINARY`
	var copied int64
	err := conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver is a %T", driver)
		}
		rows := &binaryRows{n: n, fill: fill, row: database.NewRow(columns, true), out: []byte(header)}
		tag, err := c.Conn().PgConn().CopyFrom(ctx, rows, text)
		copied = tag.RowsAffected()
		return err
	})
	return copied, err
}

// The binary form of COPY: a signature, no flags, no extension; at the end a
// row of -1 values. https://www.postgresql.org/docs/current/sql-copy.html
const (
	header  = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	trailer = "\xff\xff"
	chunk   = 64 << 10
)

// binaryRows reads as the rows in binary, which are made while it is read.
type binaryRows struct {
	n, done int
	fill    func(i int, r *database.Row)
	row     *database.Row
	out     []byte // made and not read yet
}

// Read implements io.Reader.
func (b *binaryRows) Read(p []byte) (int, error) {
	if len(b.out) == 0 {
		if b.done > b.n {
			return 0, io.EOF
		}
		if err := b.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

func (b *binaryRows) more() error {
	for b.done < b.n && b.row.Len() < chunk {
		b.row.Begin()
		b.fill(b.done, b.row)
		if err := b.row.End(); err != nil {
			return err
		}
		b.done++
	}
	b.out = b.row.Take()
	if b.done == b.n {
		b.out = append(b.out, trailer...)
		b.done++
	}
	return nil
}
