package database

import (
	"errors"

	"github.com/rind-project/rind/internal/base/errs"
)

// The drivers' errors are told apart by the methods they have, so that no
// room links a driver for the sake of an error.
type (
	sqlStater interface { // PostgreSQL, five characters
		error
		SQLState() string
	}
	coder interface { // SQLite, extended result code
		error
		Code() int
	}
)

// Result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	sqliteBusy       = 5
	sqliteUnique     = 2067
	sqlitePrimaryKey = 1555
	sqliteRowID      = 2579
)

// codes returns the PostgreSQL state and the SQLite code in the chain.
func codes(err error) (state string, code int) {
	if s, ok := errors.AsType[sqlStater](err); ok {
		state = s.SQLState()
	}
	if c, ok := errors.AsType[coder](err); ok {
		code = c.Code()
	}
	return state, code
}

// IsUnique reports whether a statement failed because a row with the same key
// exists. On PostgreSQL the transaction is then beyond use; to go on, write
// ON CONFLICT instead.
func IsUnique(err error) bool {
	state, code := codes(err)
	return state == "23505" || code == sqliteUnique || code == sqlitePrimaryKey || code == sqliteRowID
}

// IsTransient reports whether the engine undid a transaction for the sake of
// another one, so that the same transaction may be tried again.
func IsTransient(err error) bool {
	state, code := codes(err)
	return state == "40001" || state == "40P01" || code&0xff == sqliteBusy
}

// IsReadOnly reports whether a write failed because the database is a standby,
// as it happens after a failover while a name still leads to the old place.
func IsReadOnly(err error) bool {
	state, _ := codes(err)
	return state == "25006"
}

// refused hands on the error of a write. When a standby refused it, the idle
// connections, which may lead there as well, are dropped, so that the next try
// looks for the primary anew.
func (db *DB) refused(err error) error {
	if !IsReadOnly(err) || errs.Is(err, errs.Unavailable) {
		return err
	}
	if db.idle > 0 {
		db.writer.SetMaxIdleConns(-1)
		db.writer.SetMaxIdleConns(db.idle)
	}
	return errs.New(errs.Unavailable, "the database takes no writes: this is a standby, and the next try looks for the primary; "+
		"when it stays so, promote a standby or name the primary in database.url: %w", err)
}
