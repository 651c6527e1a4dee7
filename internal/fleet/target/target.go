// Package target is the language in which people say which peels they mean, and
// the index that answers who is meant.
//
// A term is a glob over ids (web-*), or a letter, an at sign and what is asked:
// a list of ids L@, a regular expression over ids E@, a fact G@ or its regular
// expression P@, a setting I@, a subnet S@, a named group N@. Terms are joined
// by and, or, not and parentheses. There is one grammar, of which a single glob
// is the shortest expression.
package target

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Limits of an expression.
const (
	MaxExpr    = 16 << 10 // bytes
	MaxPattern = 1 << 10  // bytes of a glob, a regular expression or a value
	MaxTerms   = 256      // of an expression, with those of its groups
	MaxRegexps = 16       // E@ and P@ of an expression, with those of its groups
	MaxDepth   = 32       // parentheses, nots and groups within one another
)

// Expr is a parsed expression. It is safe for concurrent use.
type Expr struct {
	text  string
	root  node
	count count
}

// SyntaxError says where in an expression what is wrong. Its kind is
// errs.Invalid, or errs.Unavailable when the expression asks for what is not
// kept.
type SyntaxError struct {
	Expr   string
	Column int // of the first byte concerned, from 1
	Msg    string
}

// Error returns the message with the column.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("target %q, column %d: %s", e.Expr, e.Column, e.Msg)
}

// maxCaret is the longest expression that Caret shows in full.
const maxCaret = 120

// Caret returns the expression and below it a line with a caret under the
// column. Of a long expression it is the part around the column.
func (e *SyntaxError) Caret() string {
	at := min(max(e.Column-1, 0), len(e.Expr))
	from, to := 0, len(e.Expr)
	if to > maxCaret {
		from, to = max(0, at-maxCaret/2), min(to, at+maxCaret/2)
	}
	blank := func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			return '?'
		}
		return r
	}
	line := strings.Map(blank, e.Expr[from:at])
	return line + strings.Map(blank, e.Expr[at:to]) + "\n" + strings.Repeat(" ", utf8.RuneCountInString(line)) + "^"
}

// Parse reads an expression.
func Parse(expr string) (*Expr, error) {
	if len(expr) > MaxExpr {
		return nil, errs.New(errs.TooLarge, "the target has %d characters, at most %d are allowed", len(expr), MaxExpr)
	}
	root, n, serr := parse(expr)
	if serr != nil {
		serr.Expr = expr
		return nil, errs.New(errs.Invalid, "%w", serr)
	}
	return &Expr{text: expr, root: root, count: n}, nil
}

// Match reports whether a peel is meant, going by its id and its facts alone.
//
// What is not known matches neither a term nor its opposite: with facts that
// are nil, G@os:Debian is not true, and not G@os:Debian is not true either. The
// same goes for settings, and for named groups that were not resolved.
func (e *Expr) Match(id fleet.PeelID, f *fleet.Facts) bool {
	return e.root.match(&subject{id: id, facts: f}, false)
}

// MatchWith is Match with what is known of the peel's settings.
func (e *Expr) MatchWith(id fleet.PeelID, f *fleet.Facts, settings Settings) bool {
	return e.root.match(&subject{id: id, facts: f, settings: settings}, false)
}

// All reports whether every peel is meant, whatever it is. It is true of the
// glob * only.
func (e *Expr) All() bool {
	t, ok := e.root.(*term)
	if !ok {
		return false
	}
	g, ok := t.test.(*idGlob)
	return ok && g.any()
}

// String returns the expression as it was written.
func (e *Expr) String() string { return e.text }

// Everyone is the expression "*".
func Everyone() *Expr {
	return &Expr{text: "*", root: &term{text: "*", column: 1, test: &idGlob{glob{parts: []part{{kind: star}}}}}, count: count{terms: 1}}
}
