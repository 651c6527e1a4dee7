package target

import (
	"strconv"
	"strings"
)

// fact asks whether a value under a key meets a condition: any value, when the
// key leads through lists.
type fact struct {
	key    string // without places
	at     place  // that were asked for
	cond   condition
	negate bool // !=: the key is there, and no value meets the condition
}

// parseFact reads KEY:GLOB, KEY!=GLOB and the four orders.
func parseFact(w word) (test, *SyntaxError) {
	key, cond, negate, serr := parseCondition(w, "G@os:Debian or G@mem.total>8GB")
	if serr != nil {
		return nil, serr
	}
	f := newFact(key.text, cond)
	f.negate = negate
	return f, nil
}

// parseFactRegexp reads KEY:REGEXP.
func parseFactRegexp(w word) (test, *SyntaxError) {
	key, rest, serr := parseKey(w, `P@kernel:^6\.`)
	if serr != nil {
		return nil, serr
	}
	if rest.text == "" || rest.text[0] != ':' {
		return nil, rest.fail(0, `a colon is expected behind the key, as in P@kernel:^6\.`)
	}
	if len(rest.text) == 1 {
		return nil, rest.fail(1, "the regular expression is missing")
	}
	re, _, serr := parseRegexp(rest.from(1))
	if serr != nil {
		return nil, serr
	}
	return newFact(key.text, condition{op: matches, re: re}), nil
}

func newFact(key string, cond condition) *fact {
	f := &fact{at: nowhere, cond: cond}
	for seg := range strings.SplitSeq(key, ".") {
		if level, isList := listLevel(f.key); isList {
			if n, err := strconv.Atoi(seg); err == nil && n >= 0 && strconv.Itoa(n) == seg {
				f.at[level] = n
				continue
			}
		}
		f.key = strings.TrimPrefix(f.key+"."+seg, ".")
	}
	return f
}

// parseKey reads a dotted key and returns what is behind it.
func parseKey(w word, example string) (key, rest word, serr *SyntaxError) {
	n := 0
	for n < len(w.text) && keyByte(w.text[n]) {
		n++
	}
	key, rest = w, w.from(n)
	key.text = w.text[:n]
	switch {
	case n == 0:
		return key, rest, w.fail(0, "a key is expected here, as in %s", example)
	case n > 256:
		return key, rest, w.fail(0, "the key has %d characters, at most 256 are allowed", n)
	case key.text[0] == '.' || key.text[n-1] == '.' || strings.Contains(key.text, ".."):
		return key, rest, w.fail(max(0, strings.Index(key.text, "..")), "a part of the key is missing beside a dot")
	}
	return key, rest, nil
}

func keyByte(c byte) bool { return idByte(lower(c)) || c == '.' }

// operators of facts and settings; a longer one stands before its beginning.
func operators() []struct {
	text string
	op   op
} {
	return []struct {
		text string
		op   op
	}{{":", is}, {"!=", is}, {">=", atLeast}, {"<=", atMost}, {">", above}, {"<", below}}
}

// parseCondition reads a key, an operator and a value.
func parseCondition(w word, example string) (key word, c condition, negate bool, serr *SyntaxError) {
	key, rest, serr := parseKey(w, example)
	if serr != nil {
		return key, c, false, serr
	}
	for _, o := range operators() {
		if !strings.HasPrefix(rest.text, o.text) {
			continue
		}
		value := rest.from(len(o.text))
		if value.text == "" {
			return key, c, false, value.fail(0, "a value is missing behind %s", o.text)
		}
		var cond *condition
		if o.op == is {
			cond, serr = parseIs(value)
		} else {
			cond, serr = parseOrder(o.op, value)
		}
		if serr != nil {
			return key, c, false, serr
		}
		return key, *cond, o.text == "!=", nil
	}
	if strings.HasPrefix(rest.text, "=") {
		return key, c, false, rest.fail(0, "a value is asked for with a colon, as in %s", example)
	}
	return key, c, false, rest.fail(0, "one of : != > >= < <= is expected behind the key, as in %s", example)
}

func (f *fact) ask(s *subject) (yes, known bool) {
	if s.facts == nil {
		return false, false
	}
	there, holds := false, false
	leaves(s.facts, func(key string, at place, l leaf) {
		if !holds && key == f.key && at.in(f.at) {
			there = true
			holds = f.cond.holds(l)
		}
	})
	if f.negate {
		return there && !holds, true
	}
	return holds, true
}

// maxWhy is how many values a reason shows.
const maxWhy = 8

func (f *fact) why(s *subject, yes bool) []string {
	if s.facts == nil {
		return nil
	}
	var out []string
	leaves(s.facts, func(key string, at place, l leaf) {
		if len(out) < maxWhy && key == f.key && at.in(f.at) && (!yes || f.negate || f.cond.holds(l)) {
			out = append(out, l.String())
		}
	})
	return out
}
