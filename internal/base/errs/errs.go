// Package errs gives an error a kind, so that an edge can translate it (to an
// HTTP status, to an exit code) without knowing where it came from.
//
// The message of an error made here is meant for the person who asked: lower
// case, says what was being done to what, and what to do next. What only an
// operator should see belongs in the log, not in the message.
package errs

import (
	"errors"
	"fmt"
)

// Kind says what sort of thing went wrong. The zero value is Internal.
type Kind uint8

// The kinds, in no order of severity.
const (
	Internal     Kind = iota // a defect or a failure of something below; details are for the log
	Invalid                  // the input is wrong; the message says how to correct it
	NotFound                 // the thing named does not exist
	Conflict                 // the thing exists already, or changed meanwhile
	Unauthorized             // nobody known is asking
	Forbidden                // somebody known is asking for what they may not have
	TooLarge                 // the input is over a limit; the message names the limit
	RateLimited              // too many tries; the message says when to try again
	Unavailable              // something needed is not there just now; trying later may help
	Gone                     // it existed and will not come back (a used token, a revoked peel)
)

var names = [...]string{
	Internal: "internal", Invalid: "invalid", NotFound: "not_found", Conflict: "conflict",
	Unauthorized: "unauthorized", Forbidden: "forbidden", TooLarge: "too_large",
	RateLimited: "rate_limited", Unavailable: "unavailable", Gone: "gone",
}

// String returns the kind's stable name, as it stands in API answers.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return "internal"
}

// ParseKind is the inverse of String; an unknown name is Internal.
func ParseKind(name string) Kind {
	for k, n := range names {
		if n == name {
			return Kind(k)
		}
	}
	return Internal
}

// Error is an error with a kind.
type Error struct {
	Kind Kind
	msg  string
	err  error
}

// New makes an error of a kind. The format takes %w like fmt.Errorf.
func New(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if _, several := err.(interface{ Unwrap() []error }); several {
		cause = err
	}
	return &Error{Kind: kind, msg: err.Error(), err: cause}
}

// Error returns the message for the person who asked.
func (e *Error) Error() string { return e.msg }

// Unwrap returns the error that was given to New with %w, if any; if there were
// several, one that holds them all.
func (e *Error) Unwrap() error { return e.err }

// KindOf returns the kind of the first Error in the chain, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether the chain of err holds an Error of the kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}
