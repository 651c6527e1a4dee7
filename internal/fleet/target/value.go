package target

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// condition is what a fact or a setting is compared with.
type condition struct {
	op     op
	glob   *glob          // of is
	re     *regexp.Regexp // of matches
	text   string         // of the orders, as it was written
	number *number        // the value as a number, nil when it is none
	moment *int64         // the value as a time in Unix seconds
}

type op uint8

const (
	is op = iota
	matches
	above
	atLeast
	below
	atMost
)

// number is a value of at least n and less than n+1; more says that it is not n
// itself. That compares exactly with whole numbers.
type number struct {
	n    int64
	more bool
}

// holds decides about one value.
func (c *condition) holds(l leaf) bool {
	switch {
	case c.op == is && l.kind == numberLeaf && c.number != nil:
		return !c.number.more && l.n == c.number.n
	case c.op == is && l.kind == textLeaf:
		return c.glob.match(*l.text)
	case c.op == is:
		return c.glob.match(l.String())
	case c.op == matches && l.kind == textLeaf:
		return c.re.MatchString(*l.text)
	case c.op == matches:
		return c.re.MatchString(l.String())
	}
	switch l.kind {
	case textLeaf:
		return c.op.holds(compareNatural(*l.text, c.text))
	case numberLeaf, momentLeaf:
		lo, hi, ok := c.span(l.kind)
		return ok && l.n >= lo && l.n <= hi
	}
	return false
}

// holds decides from how a value compares with the one that was asked for.
func (o op) holds(cmp int) bool {
	switch o {
	case above:
		return cmp > 0
	case atLeast:
		return cmp >= 0
	case below:
		return cmp < 0
	}
	return cmp <= 0
}

// span is the range of whole numbers, or of moments, that an order means.
func (c *condition) span(kind leafKind) (lo, hi int64, ok bool) {
	var bound number
	switch {
	case kind == numberLeaf && c.number != nil:
		bound = *c.number
	case kind == momentLeaf && c.moment != nil:
		bound = number{n: *c.moment}
	default:
		return 0, 0, false
	}
	lo, hi = math.MinInt64, math.MaxInt64
	switch {
	case c.op == above || c.op == atLeast && bound.more:
		if bound.n == math.MaxInt64 {
			return 0, 0, false
		}
		lo = bound.n + 1
	case c.op == atLeast:
		lo = bound.n
	case c.op == below && !bound.more:
		if bound.n == math.MinInt64 {
			return 0, 0, false
		}
		hi = bound.n - 1
	default:
		hi = bound.n
	}
	return lo, hi, true
}

// units of sizes, in lower case.
func unit(name string) (float64, bool) {
	factor := float64(1000)
	switch {
	case name == "", name == "b":
		return 1, true
	case len(name) == 3 && name[1:] == "ib":
		factor = 1024
	case len(name) == 2 && name[1] == 'b':
	default:
		return 0, false
	}
	power := strings.IndexByte("kmgtpe", name[0])
	return math.Pow(factor, float64(power+1)), power >= 0
}

// parseNumber reads "4", "-1", "1.5", "8GB", "8GiB". A text that is no number
// is nil without an error.
func parseNumber(w word) (*number, *SyntaxError) {
	text := strings.ToLower(w.text)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	factor, ok := unit(text[len(digits):])
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(digits, "-"), ".")
	if !ok || !allDigits(whole) || fraction != "" && !allDigits(fraction) || strings.HasSuffix(digits, ".") {
		return nil, nil
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && (factor == 1 || math.Abs(float64(n))*factor < 1<<62) {
		return &number{n: n * int64(factor)}, nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if f *= factor; err != nil || math.Abs(f) >= 1<<62 {
		return nil, w.fail(0, "the number is too large")
	}
	return &number{n: int64(math.Floor(f)), more: f != math.Floor(f)}, nil
}

// wrongUnit reports whether a number is followed by what was meant as a unit and
// is none, as in 8XB or 8Gi, and where that begins. As a text it would compare
// with no number.
func wrongUnit(text string) (at int, wrong bool) {
	at = len(strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
	name := strings.ToLower(text[at:])
	if _, known := unit(name); known || !allDigits(strings.Replace(text[:at], ".", "", 1)) {
		return at, false
	}
	return at, len(name) <= 3 && name[len(name)-1] == 'b' || len(name) == 2 && name[1] == 'i' && strings.IndexByte("kmgtpe", name[0]) >= 0
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseMoment reads a date or a time of RFC 3339.
func parseMoment(text string) *int64 {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			n := t.Unix()
			return &n
		}
	}
	return nil
}

// parseIs reads what stands behind a colon: a glob, or a number.
func parseIs(w word) (*condition, *SyntaxError) {
	g, serr := parseGlob(w, true)
	if serr != nil {
		return nil, serr
	}
	n, _ := parseNumber(w) // one that is too large is a text
	return &condition{op: is, glob: g, number: n}, nil
}

// parseOrder reads what values are compared with by size.
func parseOrder(o op, w word) (*condition, *SyntaxError) {
	if len(w.text) > MaxPattern {
		return nil, w.fail(0, "the value has %d characters, at most %d are allowed", len(w.text), MaxPattern)
	}
	if n := len(w.text) - 1; strings.IndexByte("kKmMgGtT", w.text[n]) >= 0 && allDigits(w.text[:n]) {
		letter := strings.ToUpper(w.text[n:])
		return nil, w.fail(0, "%s could mean two sizes: write %s%sB (powers of 1000) or %[2]s%[3]siB (powers of 1024)", w.text, w.text[:n], letter)
	}
	if i := strings.IndexAny(w.text, "*?["); i >= 0 {
		return nil, w.fail(i, "a glob has no size; globs go with : and !=")
	}
	if i, wrong := wrongUnit(w.text); wrong {
		return nil, w.fail(i, "%s is no unit of a size: write B, kB, MB, GB, TB, PB or EB (powers of 1000), or KiB, MiB, GiB and so on (powers of 1024)", w.text[i:])
	}
	n, serr := parseNumber(w)
	if serr != nil {
		return nil, serr
	}
	return &condition{op: o, text: w.text, number: n, moment: parseMoment(w.text)}, nil
}

// compareNatural orders texts as people order versions: runs of digits count
// as numbers, letters the same in either case, and what marks a version before
// the release (~, rc, alpha, beta, pre) comes before its end.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		if digit(a[0]) && digit(b[0]) {
			var x, y string
			x, a = cutDigits(a)
			y, b = cutDigits(b)
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			continue
		}
		x, y := lower(a[0]), lower(b[0])
		if x != y {
			switch {
			case x == '~':
				return -1
			case y == '~':
				return 1
			}
			return int(x) - int(y)
		}
		a, b = a[1:], b[1:]
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !early(b), b == "" && early(a):
		return -1
	}
	return 1
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// cutDigits returns the leading digits without zeros in front, and the rest.
func cutDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return strings.TrimLeft(s[:n], "0"), s[n:]
}

// early reports whether the rest of a version marks it as one before the release.
func early(rest string) bool {
	if rest[0] == '~' {
		return true
	}
	rest = strings.TrimLeft(rest, "-._+")
	for _, mark := range []string{"rc", "alpha", "beta", "pre"} {
		if len(rest) >= len(mark) && strings.EqualFold(rest[:len(mark)], mark) {
			return true
		}
	}
	return false
}

// String words the operator.
func (o op) String() string {
	return [...]string{is: ":", matches: ":", above: ">", atLeast: ">=", below: "<", atMost: "<="}[o]
}

var _ fmt.Stringer = op(0)
