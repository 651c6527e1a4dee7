// Package target is the language in which people say which peels they mean.
// It knows globs over ids; an expression is a tree of matchers, so that lists,
// facts and compounds take their place beside them.
package target

import (
	"fmt"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// MaxExpr is the longest expression in bytes.
const MaxExpr = 4096

// Expr is a parsed expression. It is safe for concurrent use.
type Expr struct {
	text string
	m    matcher
}

// matcher decides about one peel. Facts may be nil when nothing is known.
type matcher interface {
	match(id fleet.PeelID, f *fleet.Facts) bool
	// prefix is what every id that matches begins with, "" when unknown.
	prefix() string
	// any reports whether every id matches.
	any() bool
}

// SyntaxError says where in an expression what is wrong. Its kind is
// errs.Invalid.
type SyntaxError struct {
	Expr   string
	Column int // of the first byte concerned, from 1
	Msg    string
}

// Error returns the message with the column.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("target %q, column %d: %s", e.Expr, e.Column, e.Msg)
}

// Parse reads an expression.
func Parse(expr string) (*Expr, error) {
	if len(expr) > MaxExpr {
		return nil, errs.New(errs.TooLarge, "the target has %d characters, at most %d are allowed", len(expr), MaxExpr)
	}
	m, serr := parseGlob(expr)
	if serr != nil {
		return nil, errs.New(errs.Invalid, "%w", serr)
	}
	return &Expr{text: expr, m: m}, nil
}

// Match reports whether a peel is meant. Facts may be nil.
func (e *Expr) Match(id fleet.PeelID, f *fleet.Facts) bool { return e.m.match(id, f) }

// All reports whether every peel is meant, whatever it is.
func (e *Expr) All() bool { return e.m.any() }

// String returns the expression as it was written.
func (e *Expr) String() string { return e.text }

// Everyone is the expression "*".
func Everyone() *Expr { return &Expr{text: "*", m: &glob{parts: []part{{star: true}}}} }
