package target

import (
	"fmt"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// glob matches ids with *, ? and classes: [abc], [a-z], [!a-z].
type glob struct{ parts []part }

// part is one element of a glob: a star, or a set of bytes.
type part struct {
	star bool
	set  *[256]bool // nil: any byte
	lit  byte       // when not zero, the only byte
}

func parseGlob(s string) (*glob, *SyntaxError) {
	fail := func(i int, format string, args ...any) (*glob, *SyntaxError) {
		return nil, &SyntaxError{Expr: s, Column: i + 1, Msg: fmt.Sprintf(format, args...)}
	}
	if s == "" {
		return fail(0, "the target is empty; use * for every peel")
	}
	g := &glob{}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '*':
			if n := len(g.parts); n == 0 || !g.parts[n-1].star {
				g.parts = append(g.parts, part{star: true})
			}
			i++
		case c == '?':
			g.parts = append(g.parts, part{})
			i++
		case c == '[':
			set, next, serr := parseClass(s, i)
			if serr != nil {
				return nil, serr
			}
			g.parts = append(g.parts, part{set: set})
			i = next
		case idByte(c):
			g.parts = append(g.parts, part{lit: c})
			i++
		default:
			return fail(i, "%s", whyNot(s, i))
		}
	}
	return g, nil
}

// whyNot explains a byte that can stand in no glob.
func whyNot(s string, i int) string {
	switch c := s[i]; {
	case i == 1 && c == '@' && strings.IndexByte("LEGPISN", s[0]) >= 0, i == 0 && len(s) > 1 && s[1] == '@' && strings.IndexByte("LEGPISN", c) >= 0:
		return "targets of the form X@… are not known here; use a glob over peel ids such as web-*"
	case c >= 'A' && c <= 'Z':
		return fmt.Sprintf("%q matches no peel: ids are lower case", c)
	case c == '.':
		return "\".\" matches no peel: an id has \"_\" where the host name has a dot"
	case c == ' ' || c == ',':
		return "one glob is expected, without blanks and commas"
	case c == ']':
		return "\"]\" closes no class"
	case c >= 0x80:
		return "only a-z, 0-9, _, - and the glob characters * ? [ ] can match a peel's id"
	default:
		return fmt.Sprintf("%q can match no peel; ids have a-z, 0-9, _ and -", c)
	}
}

// parseClass reads the class that begins at s[i].
func parseClass(s string, i int) (*[256]bool, int, *SyntaxError) {
	begin := i
	fail := func(at int, msg string) (*[256]bool, int, *SyntaxError) {
		return nil, 0, &SyntaxError{Expr: s, Column: at + 1, Msg: msg}
	}
	var set [256]bool
	i++
	negate := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negate {
		i++
	}
	for first := true; ; first = false {
		if i >= len(s) {
			return fail(begin, "the class is not closed; add \"]\"")
		}
		if s[i] == ']' {
			if first {
				return fail(begin, "the class is empty")
			}
			break
		}
		lo, hi := s[i], s[i]
		if i+2 < len(s) && s[i+1] == '-' && s[i+2] != ']' {
			hi = s[i+2]
			if hi < lo {
				return fail(i, fmt.Sprintf("the range %s is upside down", s[i:i+3]))
			}
			i += 2
		}
		for c := int(lo); c <= int(hi); c++ {
			set[c] = true
		}
		i++
	}
	if negate {
		for c := range set {
			set[c] = !set[c]
		}
	}
	return &set, i + 1, nil
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func (p part) matches(c byte) bool {
	switch {
	case p.lit != 0:
		return c == p.lit
	case p.set != nil:
		return p.set[c]
	}
	return true
}

// match takes time proportional to the id times the glob at most: after a
// mismatch only the last star is tried again.
func (g *glob) match(id fleet.PeelID, _ *fleet.Facts) bool {
	s, p := 0, 0
	star, mark := -1, 0
	for s < len(id) {
		switch {
		case p < len(g.parts) && g.parts[p].star:
			star, mark = p, s
			p++
		case p < len(g.parts) && g.parts[p].matches(id[s]):
			s++
			p++
		case star >= 0:
			mark++
			s, p = mark, star+1
		default:
			return false
		}
	}
	for p < len(g.parts) && g.parts[p].star {
		p++
	}
	return p == len(g.parts)
}

func (g *glob) prefix() string {
	var b strings.Builder
	for _, p := range g.parts {
		if p.lit == 0 {
			break
		}
		b.WriteByte(p.lit)
	}
	return b.String()
}

func (g *glob) any() bool { return len(g.parts) == 1 && g.parts[0].star }
