package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"
)

// txAttempts bounds how often a transaction is tried when the engine undoes
// it because of another one.
const txAttempts = 5

// Tx is a transaction. It is not safe for concurrent use.
type Tx struct {
	tx      *sql.Tx
	conn    *sql.Conn
	dialect Dialect
	notes   []note // told to this process when the transaction commits
}

// Engine says which engine serves.
func (tx *Tx) Engine() Engine { return tx.dialect.Engine() }

// Tx runs fn in a writing transaction, commits when it returns nil, and undoes
// everything when it returns an error or panics.
//
// When the engine itself undid the transaction for the sake of another one (a
// deadlock, a serialization failure, a writer that stayed busy), fn is run
// again, a few times. So fn sets its results and does not add to them, has no
// effect outside the transaction, and hands on the errors of its statements,
// wrapped at will. A connection lost during the commit is not tried again,
// since nobody knows whether it was committed.
//
// fn uses its Tx only: DB.Exec inside fn waits for the very connection that
// the transaction holds.
func (db *DB) Tx(ctx context.Context, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := db.once(ctx, fn)
		if err == nil || !IsTransient(err) || attempt == txAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Duration(attempt) * (5*time.Millisecond + rand.N(20*time.Millisecond))):
		}
	}
}

// begin begins a transaction on a connection of its own. Beginning changes
// nothing, so a connection that turns out to be dead, as after a restart of
// the server, costs another try and no error.
func (db *DB) begin(ctx context.Context) (*sql.Conn, *sql.Tx, error) {
	for attempt := 1; ; attempt++ {
		conn, err := db.writer.Conn(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("connecting to the %s database: %w", db.Engine(), err)
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err == nil {
			return conn, tx, nil
		}
		_ = conn.Close() // the pool drops it when it is dead
		state, code := codes(err)
		if answered := state != "" || code != 0; answered || ctx.Err() != nil || attempt == txAttempts {
			return nil, nil, fmt.Errorf("beginning a transaction: %w", err)
		}
	}
}

// once runs fn in one transaction.
func (db *DB) once(ctx context.Context, fn func(*Tx) error) (err error) {
	conn, tx, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { // it only goes back to the pool, unless it leads to a standby
		if IsReadOnly(err) {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
			err = db.refused(err)
		}
		_ = conn.Close()
	}()
	done := false
	defer func() {
		if !done { // an error or a panic
			if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) && err != nil {
				err = fmt.Errorf("%w (and undoing the transaction: %v)", err, undo) //nolint:errorlint // err alone decides whether fn is run again
			}
		}
	}()
	t := &Tx{tx: tx, conn: conn, dialect: db.dialect}
	if err := fn(t); err != nil {
		return err
	}
	done = true
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing a transaction: %w", err)
	}
	db.local.tell(t.notes)
	return nil
}

// Exec runs a statement and returns the number of rows it changed.
func (tx *Tx) Exec(ctx context.Context, q string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(ctx, q, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query reads rows, with what the transaction wrote. Close them before the
// next statement: a transaction is one connection.
func (tx *Tx) Query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	return tx.tx.QueryContext(ctx, q, args...)
}

// QueryRow reads one row, with what the transaction wrote. It may write, for
// instance with INSERT … RETURNING.
func (tx *Tx) QueryRow(ctx context.Context, q string, args ...any) *sql.Row {
	return tx.tx.QueryRowContext(ctx, q, args...)
}

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// CopyIn appends n rows to a table: by COPY on PostgreSQL, by prepared
// statements of up to 100 rows on SQLite. row returns the values of row i in
// the order of the columns, of the types int64, float64, bool, string, []byte
// or nil. The slice may be used again in the next call, the bytes in it not
// before CopyIn returns. It returns the number of rows appended.
func (tx *Tx) CopyIn(ctx context.Context, table string, columns []string, n int, row func(i int) []any) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	if len(columns) == 0 {
		return 0, fmt.Errorf("appending to %s: no columns are named", table)
	}
	for _, name := range append([]string{table}, columns...) {
		if !identifier.MatchString(name) {
			return 0, fmt.Errorf("appending to a table: %q is not a name in lower case", name)
		}
	}
	copied, err := tx.dialect.CopyIn(ctx, tx.conn, tx.tx, table, columns, n, func(i int) []any {
		values := row(i)
		if len(values) != len(columns) {
			panic(fmt.Sprintf("database: CopyIn into %s: row %d has %d values for %d columns", table, i, len(values), len(columns)))
		}
		return values
	})
	if err != nil {
		return copied, fmt.Errorf("appending %d rows to %s: %w", n, table, err)
	}
	return copied, nil
}
