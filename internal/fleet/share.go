package fleet

import (
	"fmt"
	"strconv"
	"strings"
)

// Share is a number of hosts ("50") or a share of them ("10%"). The zero Share
// is none.
type Share struct {
	count int
	per   float64 // percent, when above 0
}

// ParseShare reads a number from 1 up, or a share above 0% and up to 100%; 0
// and 0% are taken where zero says so.
func ParseShare(s string, zero bool) (Share, error) {
	bad := fmt.Errorf("%q is neither a number of hosts, such as 50, nor a share of them, such as 10%%", s)
	text, percent := strings.CutSuffix(s, "%")
	if percent {
		p, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil || !(p >= 0 && p <= 100):
			return Share{}, bad
		case p > 0:
			return Share{per: p}, nil
		}
		text = "0"
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n == 0 && !zero || strconv.Itoa(n) != text {
		return Share{}, bad
	}
	return Share{count: n, per: -1}, nil
}

// IsZero reports whether nothing was said.
func (s Share) IsZero() bool { return s == Share{} }

// Equal reports whether both say the same.
func (s Share) Equal(o Share) bool { return s == o }

// Of returns how many hosts that is of so many. A share is rounded up.
func (s Share) Of(hosts int) int {
	if s.per <= 0 {
		return s.count
	}
	n := int(s.per * float64(hosts) / 100)
	if float64(n)*100 < s.per*float64(hosts) {
		n++
	}
	return n
}

// String returns it as ParseShare reads it, "" for none.
func (s Share) String() string {
	switch {
	case s.IsZero():
		return ""
	case s.per > 0:
		return strconv.FormatFloat(s.per, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(s.count)
}

// MarshalText returns String.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Share) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*s = Share{}
		return nil
	}
	*s, err = ParseShare(string(b), true)
	return err
}
