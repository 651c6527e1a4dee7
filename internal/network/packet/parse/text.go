package parse

import (
	"hash/maphash"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxText is how many bytes of one text are kept.
	MaxText      = 256
	maxInterned  = 262144
	maxKeptTexts = 32768
	fewestSlots  = 1024
)

// Interner makes strings of bytes in packets, equal ones once per report, and
// stops at a number of bytes.
//
// It has a table of its own, half as large as a map would be and without
// pointers: most of the time is waiting for memory. Its hash has a secret seed.
type Interner struct {
	seed  maphash.Seed
	slots []uint64 // upper half of the hash, and index+1 of texts; 0 is empty
	texts []string
	left  int
	max   int
	over  bool
	buf   []byte
	mem   arena
}

func newInterner(limit int) Interner {
	return Interner{seed: maphash.MakeSeed(), slots: make([]uint64, fewestSlots), left: limit, max: limit}
}

// clear begins a new report. A table that an odd report made large is not kept.
func (t *Interner) clear() {
	t.left, t.over = t.max, false
	t.mem.clear()
	if len(t.texts) > maxKeptTexts {
		t.texts, t.slots = nil, make([]uint64, fewestSlots)
		return
	}
	clear(t.texts)
	clear(t.slots)
	t.texts = t.texts[:0]
}

func (t *Interner) overflown() bool { return t.over }
func (t *Interner) forgive()        { t.over = false }

func (t *Interner) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	h := maphash.Bytes(t.seed, b)
	mask := uint64(len(t.slots) - 1)
	i := h & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if s := t.slots[i]; s>>32 == h>>32 {
			if text := t.texts[uint32(s)-1]; text == string(b) {
				return text
			}
		}
	}
	if len(b) > t.left || len(t.texts) >= maxInterned {
		t.over = true
		return ""
	}
	s := t.mem.string(b)
	t.left -= len(b)
	t.texts = append(t.texts, s)
	t.slots[i] = h>>32<<32 | uint64(len(t.texts))
	if 2*len(t.texts) > len(t.slots) {
		t.grow()
	}
	return s
}

// grow makes room for twice as many texts.
func (t *Interner) grow() {
	t.slots = make([]uint64, 2*len(t.slots))
	mask := uint64(len(t.slots) - 1)
	for n, text := range t.texts {
		h := maphash.String(t.seed, text)
		i := h & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = h>>32<<32 | uint64(n+1)
	}
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
