package config

import (
	"math"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// Size is a number of bytes. Its text is a whole number with a unit: decimal
// (kB, MB, GB, TB) or binary (KiB, MiB, GiB, TiB), or a bare number of bytes.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// Decimal units of Size.
const (
	KB Size = 1000
	MB      = 1000 * KB
	GB      = 1000 * MB
	TB      = 1000 * GB
)

var units = []struct {
	name string
	size Size
}{
	{"TiB", TiB}, {"TB", TB}, {"GiB", GiB}, {"GB", GB},
	{"MiB", MiB}, {"MB", MB}, {"KiB", KiB}, {"kB", KB},
}

// ParseSize reads the text form. The case of a unit does not matter.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	factor, ok := unit(text[len(digits):])
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if !ok || err != nil || n < 0 || strings.HasPrefix(digits, "+") {
		return 0, errs.New(errs.Invalid, `want a size such as "64MiB", "1MB" or a number of bytes`)
	}
	if n > math.MaxInt64/int64(factor) {
		return 0, errs.New(errs.Invalid, "the size is too large")
	}
	return Size(n) * factor, nil
}

func unit(name string) (Size, bool) {
	if name == "" || strings.EqualFold(name, "B") {
		return 1, true
	}
	for _, u := range units {
		if strings.EqualFold(name, u.name) {
			return u.size, true
		}
	}
	return 0, false
}

// String returns the exact text with the least number: "64MiB", "1MB", "1500".
func (s Size) String() string {
	number, name := s, ""
	for _, u := range units {
		if s > 0 && s%u.size == 0 && s/u.size < number {
			number, name = s/u.size, u.name
		}
	}
	return strconv.FormatInt(int64(number), 10) + name
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	parsed, err := ParseSize(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
