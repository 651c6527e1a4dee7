package report

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// addrDict numbers addresses for an encoder. IPv6 addresses get a provisional
// number with the top bit set, since they come after all IPv4 ones.
type addrDict struct {
	index map[netip.Addr]uint32
	v4    []byte
	v6    []byte
}

const sixth = 1 << 31

func (d *addrDict) reset() {
	clear(d.index)
	d.v4, d.v6 = d.v4[:0], d.v6[:0]
}

func (d *addrDict) add(a netip.Addr) uint32 {
	if i, ok := d.index[a]; ok {
		return i
	}
	if !a.IsValid() {
		return 0
	}
	var i uint32
	if a.Is4() {
		b := a.As4()
		d.v4 = append(d.v4, b[:]...)
		i = uint32(len(d.v4) / 4)
	} else {
		b := a.As16()
		d.v6 = append(d.v6, b[:]...)
		i = sixth | uint32(len(d.v6)/16)
	}
	d.index[a] = i
	return i
}

// nameDict numbers strings for an encoder, cleaning each once.
type nameDict struct {
	index   map[string]uint32
	lengths []byte
	blob    []byte
	n       uint32
	max     int
}

func (d *nameDict) reset() {
	clear(d.index)
	d.lengths, d.blob, d.n = d.lengths[:0], d.blob[:0], 0
}

func (d *nameDict) add(s string) uint64 {
	if s == "" {
		return 0
	}
	if i, ok := d.index[s]; ok {
		return uint64(i)
	}
	t := clean(s, d.max)
	d.lengths = protowire.AppendVarint(d.lengths, uint64(len(t)))
	d.blob = append(d.blob, t...)
	d.n++
	d.index[s] = d.n
	return uint64(d.n)
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
}

func (d *macDict) reset() {
	clear(d.index)
	d.blob = d.blob[:0]
}

func (d *macDict) add(m [6]byte) uint64 {
	if m == [6]byte{} {
		return 0
	}
	if i, ok := d.index[m]; ok {
		return uint64(i)
	}
	d.blob = append(d.blob, m[:]...)
	i := uint32(len(d.blob) / 6)
	d.index[m] = i
	return uint64(i)
}
