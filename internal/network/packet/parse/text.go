package parse

import (
	"unicode"
	"unicode/utf8"
)

const (
	// MaxText is how many bytes of one text are kept.
	MaxText      = 256
	maxInterned  = 262144
	maxKeptTexts = 32768
)

// Interner makes strings of bytes in packets, equal ones once per report, and
// stops at a number of bytes.
type Interner struct {
	seen map[string]string
	left int
	max  int
	over bool
	buf  []byte
	mem  arena
}

func newInterner(limit int) Interner {
	return Interner{seen: map[string]string{}, left: limit, max: limit}
}

// clear begins a new report. A map that an odd report made large is not kept.
func (t *Interner) clear() {
	t.left, t.over = t.max, false
	t.mem.clear()
	if len(t.seen) > maxKeptTexts {
		t.seen = map[string]string{}
		return
	}
	clear(t.seen)
}

func (t *Interner) overflown() bool { return t.over }
func (t *Interner) forgive()        { t.over = false }

func (t *Interner) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := t.seen[string(b)]; ok {
		return s
	}
	if len(b) > t.left || len(t.seen) >= maxInterned {
		t.over = true
		return ""
	}
	s := t.mem.string(b)
	t.left -= len(b)
	t.seen[s] = s
	return s
}

// clean reports whether text would leave b as it is, as it does most.
func clean(b []byte, lower bool) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f || c == '\\' || lower && 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return len(b) <= MaxText-4
}

func (t *Interner) text(b []byte, lower bool) string {
	if clean(b, lower) {
		return t.intern(b)
	}
	t.buf = t.buf[:0]
	for len(b) > 0 && len(t.buf) < MaxText-4 {
		c := b[0]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(b)
			if r != utf8.RuneError && unicode.IsPrint(r) {
				t.buf = append(t.buf, b[:n]...)
				b = b[n:]
				continue
			}
		}
		switch {
		case c < ' ' || c >= 0x7f || c == '\\':
			t.buf = append(t.buf, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		case lower && 'A' <= c && c <= 'Z':
			t.buf = append(t.buf, c+'a'-'A')
		default:
			t.buf = append(t.buf, c)
		}
		b = b[1:]
	}
	return t.intern(t.buf)
}
