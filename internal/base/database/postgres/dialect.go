package postgres

import (
	"context"
	"database/sql"
	"fmt"

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
