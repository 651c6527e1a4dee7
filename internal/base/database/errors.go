package database

import "errors"

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
