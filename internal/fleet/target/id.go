package target

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// idGlob is a glob over ids.
type idGlob struct{ glob }

func parseIDGlob(w word) (test, *SyntaxError) {
	g, serr := parseGlob(w, false)
	if serr != nil {
		return nil, serr
	}
	return &idGlob{*g}, nil
}

func (g *idGlob) ask(s *subject) (yes, known bool)  { return g.match(string(s.id)), true }
func (g *idGlob) why(s *subject, _ bool) []string   { return []string{string(s.id)} }
func (l *idList) why(s *subject, _ bool) []string   { return []string{string(s.id)} }
func (r *idRegexp) why(s *subject, _ bool) []string { return []string{string(s.id)} }

// idList is a list of ids, sorted.
type idList struct{ ids []fleet.PeelID }

func parseList(w word) (test, *SyntaxError) {
	l := &idList{}
	for at := 0; at <= len(w.text); {
		item, _, _ := strings.Cut(w.text[at:], ",")
		trimmed := strings.TrimLeft(item, " ")
		from := at + len(item) - len(trimmed)
		trimmed = strings.TrimRight(trimmed, " ")
		if trimmed == "" {
			return nil, w.fail(at, "an id of the list is missing; ids are separated by one comma")
		}
		for i := range len(trimmed) {
			switch c := trimmed[i]; {
			case strings.IndexByte("*?[]", c) >= 0:
				return nil, w.fail(from+i, "a list has ids, no globs; join globs with or")
			case !idByte(c):
				return nil, w.fail(from+i, "%s", whyNot(c))
			}
		}
		id, err := fleet.ParsePeelID(trimmed)
		if err != nil {
			return nil, w.fail(from, "%s", err)
		}
		l.ids = append(l.ids, id)
		at += len(item) + 1
	}
	slices.Sort(l.ids)
	l.ids = slices.Compact(l.ids)
	return l, nil
}

func (l *idList) ask(s *subject) (yes, known bool) {
	_, yes = slices.BinarySearch(l.ids, s.id)
	return yes, true
}

// idRegexp is a regular expression over ids, which matches anywhere in the id
// unless it says otherwise.
type idRegexp struct {
	re     *regexp.Regexp
	prefix string // of every id that matches
}

func parseIDRegexp(w word) (test, *SyntaxError) {
	re, prefix, serr := parseRegexp(w)
	if serr != nil {
		return nil, serr
	}
	return &idRegexp{re: re, prefix: prefix}, nil
}

func (r *idRegexp) ask(s *subject) (yes, known bool) { return r.re.MatchString(string(s.id)), true }

// parseRegexp reads a regular expression of RE2, and finds the text that all
// matches begin with when it is bound to the beginning.
func parseRegexp(w word) (*regexp.Regexp, string, *SyntaxError) {
	if len(w.text) > MaxPattern {
		return nil, "", w.fail(0, "the regular expression has %d characters, at most %d are allowed", len(w.text), MaxPattern)
	}
	re, err := regexp.Compile(w.text)
	if err != nil {
		at, why := 0, strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		if bad, ok := err.(*syntax.Error); ok { //nolint:errorlint // Compile returns it bare
			at, why = max(0, strings.Index(w.text, bad.Expr)), string(bad.Code)+": "+bad.Expr
			if bad.Expr == "" || bad.Expr == w.text {
				why = string(bad.Code)
			}
		}
		return nil, "", w.fail(at, "the regular expression (RE2) cannot be read: %s", why)
	}
	return re, anchored(w.text), nil
}

// anchored is the literal behind ^ at the beginning of a regular expression.
func anchored(expr string) string {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	tree = tree.Simplify()
	if tree.Op != syntax.OpConcat || len(tree.Sub) < 2 || tree.Sub[0].Op != syntax.OpBeginText {
		return ""
	}
	if lit := tree.Sub[1]; lit.Op == syntax.OpLiteral && lit.Flags&syntax.FoldCase == 0 {
		return string(lit.Rune)
	}
	return ""
}
