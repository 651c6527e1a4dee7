// Package database gives a connection to one of two engines, SQLite and
// PostgreSQL, that run the same SQL text. Who owns a table owns its SQL; this
// package knows no table but its own history of migrations.
//
// The one text has rules: parameters are $1…$n strictly in order of
// appearance (a value used twice is passed twice), ids are UUIDv7 text made by
// NewID, times are BIGINT microseconds made by Micros and passed as
// parameters, addresses are 16 bytes made by Addr16 in a BYTEA column, sums
// are CAST(SUM(x) AS BIGINT). An INSERT … RETURNING is a write and so belongs
// in a Tx. Text from outside goes through Text, since PostgreSQL refuses what
// SQLite takes.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Engine names a database engine.
type Engine string

// The engines. SQLite is the default and serves one process; PostgreSQL is
// shared by any number of nodes.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Dialect is what differs between the engines. The drivers in the folders
// below implement it.
type Dialect interface {
	// Engine names the engine.
	Engine() Engine
	// LockMigrations is the statement that makes the transaction in which it
	// runs the only one that migrates, or "" when every writing transaction
	// is alone anyway.
	LockMigrations() string
	// Notify is the statement that tells all processes which listen on the
	// channel $1 of $2 when the transaction commits, or "" when there is no
	// other process.
	Notify() string
	// Listen calls heard for each message on a channel, and once with "" when
	// it begins to listen, until the context or the connection ends. It is
	// never called where Notify is empty.
	Listen(ctx context.Context, channel string, heard func(message string)) error
	// State says how the database is.
	State(ctx context.Context, pool *sql.DB) (State, error)
	// CopyIn appends n rows to a table in the transaction, as fast as the
	// engine can. The names have been checked already.
	CopyIn(ctx context.Context, conn *sql.Conn, tx *sql.Tx, table string, columns []string, n int, row func(i int) []any) (int64, error)
	// Append is CopyIn for rows that write themselves.
	Append(ctx context.Context, conn *sql.Conn, tx *sql.Tx, table string, columns []Column, n int, fill func(i int, r *Row)) (int64, error)
}

// DB is an open database. It is safe for concurrent use. Open one with the
// Open of package sqlite or postgres.
type DB struct {
	writer  *sql.DB
	reader  *sql.DB
	dialect Dialect

	replica *sql.DB // of a standby, for reads that may be a little late; nil is none
	idle    int     // connections that the writer keeps; 0 is not known
	local   *station
}

// New joins two pools and a dialect; the drivers call it. The pools may be the
// same one.
func New(writer, reader *sql.DB, dialect Dialect) *DB {
	return &DB{writer: writer, reader: reader, dialect: dialect, local: newStation()}
}

// Engine says which engine serves, for the few who must know (partitions,
// LISTEN/NOTIFY).
func (db *DB) Engine() Engine { return db.dialect.Engine() }

// Exec runs a statement in a transaction of its own and returns the number of
// rows it changed. It must not be called inside the function given to Tx: on
// SQLite there is one writer, which that transaction holds.
func (db *DB) Exec(ctx context.Context, q string, args ...any) (int64, error) {
	res, err := db.writer.ExecContext(ctx, q, args...)
	if err != nil {
		return 0, db.refused(err)
	}
	return res.RowsAffected()
}

// Query reads committed rows. It cannot write.
func (db *DB) Query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	return db.reader.QueryContext(ctx, q, args...)
}

// QueryRow reads one committed row. It cannot write.
func (db *DB) QueryRow(ctx context.Context, q string, args ...any) *sql.Row {
	return db.reader.QueryRowContext(ctx, q, args...)
}

// Ping asks the database whether it answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	if err := db.reader.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("asking the %s database: %w", db.Engine(), err)
	}
	return nil
}

// Close closes the connections after the statements that run have ended.
func (db *DB) Close() error {
	if db.replica != nil {
		_ = db.replica.Close() // it only read
	}
	if db.reader == db.writer {
		return db.writer.Close()
	}
	// The writer is last, since the last connection to a SQLite file folds
	// the write-ahead log into it, which a reader may not.
	return errors.Join(db.reader.Close(), db.writer.Close())
}
