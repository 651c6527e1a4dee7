package database

import "strings"

// Result codes of SQLite that speak of values
// (https://www.sqlite.org/rescode.html).
const (
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqliteRange      = 25
)

// IsData reports whether a statement failed because of the values that it was
// given: the same values will fail again, and others may not. On PostgreSQL
// these are the classes 22 and 23, and a row that the driver could not write
// into a COPY.
func IsData(err error) bool {
	state, code := codes(err)
	switch {
	case IsTransient(err):
		return false
	case strings.HasPrefix(state, "22"), strings.HasPrefix(state, "23"):
		return true
	case state == "57014" && strings.Contains(err.Error(), "COPY from stdin failed"):
		return true
	}
	switch code & 0xff {
	case sqliteTooBig, sqliteConstraint, sqliteMismatch, sqliteRange:
		return true
	}
	return false
}

// Answered reports whether the error is the engine's answer, and not of the
// way to it or of the caller.
func Answered(err error) bool {
	state, code := codes(err)
	return state != "" || code != 0
}
