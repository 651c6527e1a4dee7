package database

import (
	"errors"
	"strings"
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
	sqliteReadOnly   = 8
	sqliteFull       = 13
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
// another one, so that the same transaction may be tried again. A row that was
// on its way to the default partition while its own was made is refused by the
// default one, and finds its own the next time.
func IsTransient(err error) bool {
	state, code := codes(err)
	moved := state == "23514" && strings.Contains(err.Error(), "violates partition constraint")
	return state == "40001" || state == "40P01" || moved || code&0xff == sqliteBusy
}

// IsLocked reports whether a statement was given up because another
// transaction held a lock for longer than lock_timeout.
func IsLocked(err error) bool {
	state, _ := codes(err)
	return state == "55P03"
}

// IsFull reports whether a write failed because the database's disk has no room
// left, or a bound that was set for it is reached.
func IsFull(err error) bool {
	state, code := codes(err)
	return state == "53100" || code&0xff == sqliteFull
}

// IsDenied reports whether the database does not let its user do something: a
// right is missing, or a file may not be written.
func IsDenied(err error) bool {
	state, code := codes(err)
	return state == "42501" || code&0xff == sqliteReadOnly
}
