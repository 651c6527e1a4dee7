package target

import (
	"fmt"
	"strings"
)

// glob matches texts with *, ? and classes: [abc], [a-z], [!a-z].
type glob struct {
	parts []part
	fold  bool // letters of ASCII count the same in either case; parts are in lower case
}

// part is one element of a glob.
type part struct {
	kind partKind
	lit  byte
	set  *[256]bool
}

type partKind uint8

const (
	literal partKind = iota
	anyByte
	star
	class
)

// parseGlob reads a glob over ids or, with fold, over any text. A backslash
// takes its meaning from the character behind it in the latter.
func parseGlob(w word, fold bool) (*glob, *SyntaxError) {
	if len(w.text) > MaxPattern {
		return nil, w.fail(0, "the glob has %d characters, at most %d are allowed", len(w.text), MaxPattern)
	}
	g := &glob{fold: fold}
	for i, s := 0, w.text; i < len(s); i++ {
		switch c := s[i]; {
		case c == '*':
			if n := len(g.parts); n == 0 || g.parts[n-1].kind != star {
				g.parts = append(g.parts, part{kind: star})
			}
		case c == '?':
			g.parts = append(g.parts, part{kind: anyByte})
		case c == '[':
			set, end, serr := parseClass(w, i, fold)
			if serr != nil {
				return nil, serr
			}
			g.parts = append(g.parts, part{kind: class, set: set})
			i = end
		case fold:
			if c == '\\' && i+1 < len(s) {
				i++
			}
			g.parts = append(g.parts, part{lit: lower(s[i])})
		case idByte(c):
			g.parts = append(g.parts, part{lit: c})
		default:
			return nil, w.fail(i, "%s", whyNot(c))
		}
	}
	return g, nil
}

// whyNot explains a byte that can stand in no glob over ids.
func whyNot(c byte) string {
	switch {
	case c >= 'A' && c <= 'Z':
		return fmt.Sprintf("%q matches no peel: ids are lower case", c)
	case c == '.':
		return "\".\" matches no peel: an id has \"_\" where the host name has a dot"
	case c == ' ':
		return "no id has a blank"
	case c == ',':
		return "no id has a comma; a list of ids is L@a,b, without blanks"
	case c == ']':
		return "\"]\" closes no class"
	case c >= 0x80:
		return "only a-z, 0-9, _, - and the glob characters * ? [ ] can match a peel's id"
	}
	return fmt.Sprintf("%q can match no peel; ids have a-z, 0-9, _ and -", c)
}

// parseClass reads the class that begins at w.text[i] and returns where it ends.
func parseClass(w word, i int, fold bool) (*[256]bool, int, *SyntaxError) {
	begin, s := i, w.text
	var set [256]bool
	i++
	negate := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negate {
		i++
	}
	for first := true; ; first = false {
		if i >= len(s) {
			return nil, 0, w.fail(begin, "the class is not closed; add \"]\"")
		}
		if s[i] == ']' {
			if first {
				return nil, 0, w.fail(begin, "the class is empty")
			}
			break
		}
		lo, hi := s[i], s[i]
		if i+2 < len(s) && s[i+1] == '-' && s[i+2] != ']' {
			hi = s[i+2]
			if hi < lo {
				return nil, 0, w.fail(i, "the range %s is upside down", s[i:i+3])
			}
			i += 2
		}
		for c := int(lo); c <= int(hi); c++ {
			set[c] = true
			if fold {
				set[lower(byte(c))] = true
			}
		}
		i++
	}
	if negate {
		for c := range set {
			set[c] = !set[c]
		}
	}
	return &set, i, nil
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func (p part) matches(c byte) bool {
	switch p.kind {
	case literal:
		return c == p.lit
	case class:
		return p.set[c]
	}
	return true
}

// match takes time proportional to the text times the glob at most: after a
// mismatch only the last star is tried again.
func (g *glob) match(text string) bool {
	s, p := 0, 0
	last, mark := -1, 0
	for s < len(text) {
		c := text[s]
		if g.fold {
			c = lower(c)
		}
		switch {
		case p < len(g.parts) && g.parts[p].kind == star:
			last, mark = p, s
			p++
		case p < len(g.parts) && g.parts[p].matches(c):
			s++
			p++
		case last >= 0:
			mark++
			s, p = mark, last+1
		default:
			return false
		}
	}
	for p < len(g.parts) && g.parts[p].kind == star {
		p++
	}
	return p == len(g.parts)
}

// any reports whether the glob matches every text.
func (g *glob) any() bool { return len(g.parts) == 1 && g.parts[0].kind == star }

// ends are the literals at both ends, and how many parts stand between them:
// none in a text without wildcards, which is all prefix.
func (g *glob) ends() (prefix, suffix string, between []part) {
	lo, hi := 0, len(g.parts)
	for lo < hi && g.parts[lo].kind == literal {
		lo++
	}
	for hi > lo && g.parts[hi-1].kind == literal {
		hi--
	}
	text := func(parts []part) string {
		var b strings.Builder
		for _, p := range parts {
			b.WriteByte(p.lit)
		}
		return b.String()
	}
	return text(g.parts[:lo]), text(g.parts[hi:]), g.parts[lo:hi]
}
