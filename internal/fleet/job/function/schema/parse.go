package schema

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

var errForm = errors.New("has the wrong form")

var examples = map[Type]string{
	Int: "a whole number", Bool: "true or false", Duration: "a duration such as 90s or 5m, or a number of seconds", Size: "a size such as 4096 or 64KiB",
}

// parse reads a value and holds it against the argument's limits. The error
// goes on after the argument's name.
func (a Arg) parse(text string) (any, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, errs.New(errs.Invalid, "has a byte of zero in it")
	}
	if limit := a.limit(); int64(len(text)) > limit {
		return nil, errs.New(errs.TooLarge, "has %d bytes, at most %d are taken", len(text), limit)
	}
	value, number, err := a.read(text)
	switch {
	case err != nil:
		return nil, errs.New(errs.Invalid, "is to be %s, not %s", examples[a.Type], Clip(text))
	case number < 0:
		return nil, errs.New(errs.Invalid, "cannot be negative")
	case a.Max > 0 && number > a.Max:
		return nil, errs.New(errs.Invalid, "is at most %d, not %d", a.Max, number)
	}
	if len(a.OneOf) > 0 && !slices.Contains(a.OneOf, text) {
		return nil, errs.New(errs.Invalid, "is one of %s, not %s%s", strings.Join(a.OneOf, ", "), Clip(text), DidYouMean(text, a.OneOf))
	}
	return value, nil
}

func (a Arg) limit() int64 {
	if a.Max > 0 && a.Type == String {
		return a.Max
	}
	return MaxText
}

// read returns the value, and the number that it is for the limits.
func (a Arg) read(text string) (any, int64, error) {
	switch a.Type {
	case Int:
		n, err := strconv.Atoi(text)
		return n, int64(n), err
	case Bool:
		b, err := strconv.ParseBool(text)
		return b, 0, err
	case Duration:
		d, err := ParseDuration(text)
		return d, min(int64(d), 0), err
	case Size:
		n, err := parseSize(text)
		return n, n, err
	case List:
		return words(text), 0, nil
	}
	return text, 0, nil
}

// ParseDuration reads "90s", "5m", and a number without a unit as seconds.
func ParseDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(math.Abs(seconds) < math.MaxInt64/float64(time.Second)) {
			return 0, errForm
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	return time.ParseDuration(text)
}

// words are the parts between commas that are not empty.
func words(text string) []string {
	out := []string{}
	for w := range strings.SplitSeq(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// parseSize reads "512", "64KiB", "64k" (1024), "1MB" (1000²).
func parseSize(text string) (int64, error) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0, err
	}
	unit := strings.ToLower(strings.TrimSpace(text[end:]))
	if unit == "" || unit == "b" {
		return n, nil
	}
	power := strings.IndexByte("kmgt", unit[0]) + 1
	base := int64(1024)
	switch unit[1:] {
	case "", "ib":
	case "b":
		base = 1000
	default:
		power = 0
	}
	if power == 0 {
		return 0, errForm
	}
	for range power {
		if n > math.MaxInt64/base {
			return 0, errForm
		}
		n *= base
	}
	return n, nil
}
