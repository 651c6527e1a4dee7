package target

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// Groups tells the expression that a named group stands for.
type Groups func(name string) (expr string, ok bool)

// maxGroupName is the longest name of a group.
const maxGroupName = 64

func parseGroup(w word, column int) (node, *SyntaxError) {
	if at, msg := badGroupName(w.text); msg != "" {
		return nil, w.fail(at, "%s", msg)
	}
	return &group{name: w.text, column: column}, nil
}

// badGroupName says what is wrong with the name of a group, and at which byte.
func badGroupName(name string) (at int, msg string) {
	for i := range len(name) {
		if c := name[i]; !idByte(lower(c)) && c != '.' {
			return i, fmt.Sprintf("%q cannot stand in the name of a group; it has letters, digits, ., _ and -", c)
		}
	}
	if len(name) > maxGroupName {
		return 0, fmt.Sprintf("the name has %d characters, at most %d are allowed", len(name), maxGroupName)
	}
	return 0, ""
}

// CheckGroupName refuses what cannot be the name of a group.
func CheckGroupName(name string) error {
	_, msg := badGroupName(name)
	if name == "" {
		msg = "the name of a group is missing"
	}
	if msg != "" {
		return errs.New(errs.Invalid, "the group %.80q: %s", name, msg)
	}
	return nil
}

// SettingColumn is where an expression asks for a setting (I@), 0 when it does
// not. Of a setting that a resolved group asks for it is where the group
// stands.
func (e *Expr) SettingColumn() int { return settingColumn(e.root) }

func settingColumn(n node) int {
	var parts []node
	switch n := n.(type) {
	case *and:
		parts = n.parts
	case *or:
		parts = n.parts
	case *not:
		parts = []node{n.part}
	case *group:
		if n.inner != nil && settingColumn(n.inner) > 0 {
			return n.column
		}
	case *term:
		if _, ok := n.test.(*setting); ok {
			return n.column
		}
	}
	for _, p := range parts {
		if column := settingColumn(p); column > 0 {
			return column
		}
	}
	return 0
}

// Resolve returns the expression with its named groups, and those that they
// name, replaced by what they stand for. Without groups to ask it fails when
// there is one.
func (e *Expr) Resolve(groups Groups) (*Expr, error) {
	r := resolver{expr: e.text, groups: groups, count: e.count}
	root, err := r.resolve(e.root, 0)
	if err != nil {
		return nil, err
	}
	return &Expr{text: e.text, root: root, count: r.count}, nil
}

// resolver replaces groups. Errors point at the group in the outer expression.
type resolver struct {
	expr   string
	groups Groups
	count  count
	path   []string // of names within one another
}

func (r *resolver) fail(column int, kind errs.Kind, format string, args ...any) error {
	return errs.New(kind, "%w", &SyntaxError{Expr: r.expr, Column: column, Msg: fmt.Sprintf(format, args...)})
}

// resolve replaces below n. The column is that of the outermost group.
func (r *resolver) resolve(n node, column int) (node, error) {
	switch n := n.(type) {
	case *and:
		parts, err := r.all(n.parts, column)
		return &and{parts}, err
	case *or:
		parts, err := r.all(n.parts, column)
		return &or{parts}, err
	case *not:
		part, err := r.resolve(n.part, column)
		return &not{part}, err
	case *group:
		if n.inner != nil { // was resolved before
			return n, nil
		}
		if column == 0 {
			column = n.column
		}
		return r.group(n, column)
	}
	return n, nil
}

func (r *resolver) all(parts []node, column int) ([]node, error) {
	out := make([]node, len(parts))
	for i, p := range parts {
		var err error
		if out[i], err = r.resolve(p, column); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *resolver) group(g *group, column int) (node, error) {
	if r.groups == nil {
		return nil, r.fail(column, errs.Unavailable, "named groups are not kept here, so N@%s names nobody", g.name)
	}
	if slices.Contains(r.path, g.name) {
		return nil, r.fail(column, errs.Invalid, "the named groups go round in a circle: %s", strings.Join(append(r.path, g.name), " → "))
	}
	text, ok := r.groups(g.name)
	if !ok {
		return nil, r.fail(column, errs.NotFound, "there is no named group %q", g.name)
	}
	if len(text) > MaxExpr || len(r.path) >= MaxDepth {
		return nil, r.fail(column, errs.TooLarge, "the group %s is too long, or nested too deeply", g.name)
	}
	root, n, serr := parse(text)
	if serr != nil {
		return nil, r.fail(column, errs.Invalid, "the group %s cannot be read: column %d: %s", g.name, serr.Column, serr.Msg)
	}
	r.count.terms += n.terms
	r.count.regexps += n.regexps
	if r.count.terms > MaxTerms || r.count.regexps > MaxRegexps {
		return nil, r.fail(column, errs.TooLarge, "with the group %s there are over %d terms or %d regular expressions", g.name, MaxTerms, MaxRegexps)
	}
	r.path = append(r.path, g.name)
	inner, err := r.resolve(root, column)
	r.path = r.path[:len(r.path)-1]
	return &group{name: g.name, column: g.column, inner: inner}, err
}
