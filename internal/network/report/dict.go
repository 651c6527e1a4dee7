package report

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// nameDict numbers strings for an encoder, cleaning each once.
type nameDict struct {
	index   map[string]uint32
	lengths []byte
	blob    []byte
	n       uint32
	max     int
	near    [64]nearName
}

// nearName is a name that was asked for lately: most columns of names have few
// values.
type nearName struct {
	s string
	n uint32
}

func (d *nameDict) reset() {
	clear(d.index)
	d.lengths, d.blob, d.n, d.near = d.lengths[:0], d.blob[:0], 0, [64]nearName{}
}

func (d *nameDict) add(s string) uint64 {
	if s == "" {
		return 0
	}
	near := &d.near[(len(s)*8+int(s[0])+int(s[len(s)-1])*4)%len(d.near)]
	if near.s == s {
		return uint64(near.n)
	}
	near.s, near.n = s, d.number(s)
	return uint64(near.n)
}

func (d *nameDict) number(s string) uint32 {
	if i, ok := d.index[s]; ok {
		return i
	}
	t := clean(s, d.max)
	d.lengths = protowire.AppendVarint(d.lengths, uint64(len(t)))
	d.blob = append(d.blob, t...)
	d.n++
	d.index[s] = d.n
	return d.n
}

// clean makes of a string one that every reader takes.
func clean(s string, limit int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// macDict numbers hardware addresses for an encoder.
type macDict struct {
	index map[[6]byte]uint32
	blob  []byte
	near  [256]nearMAC // those asked for lately
}

type nearMAC struct {
	m [6]byte
	n uint32
}

func (d *macDict) reset() {
	clear(d.index)
	d.blob, d.near = d.blob[:0], [256]nearMAC{}
}

func (d *macDict) add(m [6]byte) uint64 {
	if m == [6]byte{} {
		return 0
	}
	near := &d.near[m[5]^m[4]]
	if near.m == m {
		return uint64(near.n)
	}
	near.m, near.n = m, d.number(m)
	return uint64(near.n)
}

func (d *macDict) number(m [6]byte) uint32 {
	if i, ok := d.index[m]; ok {
		return i
	}
	d.blob = append(d.blob, m[:]...)
	i := uint32(len(d.blob) / 6)
	d.index[m] = i
	return i
}
