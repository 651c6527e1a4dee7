package quic

import "time"

// The versions whose Initial packets can be read.
const (
	version1 = 0x00000001
	version2 = 0x6b3343cf
	draft23  = 0xff000017
	draft29  = 0xff00001d
	draft32  = 0xff000020
	draft34  = 0xff000022
)

var time0 time.Time

func known(version uint32) bool {
	return version == version1 || version == version2 || draft23 <= version && version <= draft34
}

// head is a long header (RFC 9000 section 17.2, RFC 9369 section 3.2).
type head struct {
	version uint32
	initial bool
	id      []byte // destination connection id
	number  int    // where the packet number begins
	size    int    // of the packet, with its header
}

// header reads the long header at the beginning of b. It is not ok for a short
// header, a Retry and a Version Negotiation packet, which carry nothing of
// interest.
func header(b []byte) (h head, ok bool) {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 {
		return h, false
	}
	h.version = be.Uint32(b[1:])
	kind := b[0] >> 4 & 3
	if h.version == version2 {
		kind = (kind - 1) & 3
	}
	if kind == 3 || h.version == 0 { // Retry
		return h, false
	}
	h.initial = kind == 0
	at := 5
	for i := range 2 {
		n := int(b[at])
		if n > maxID || at+1+n >= len(b) {
			return h, false
		}
		if i == 0 {
			h.id = b[at+1 : at+1+n]
		}
		at += 1 + n
	}
	if h.initial { // the token
		n, width := varint(b[at:])
		if width == 0 || n > uint64(len(b)-at-width) {
			return h, false
		}
		at += width + int(n)
	}
	n, width := varint(b[at:])
	if width == 0 || n > 1<<16 {
		return h, false
	}
	h.number = at + width
	h.size = h.number + int(n)
	return h, true
}

// varint reads a variable-length integer (RFC 9000 section 16). The width is 0
// when it is cut off.
func varint(b []byte) (v uint64, width int) {
	if len(b) == 0 {
		return 0, 0
	}
	width = 1 << (b[0] >> 6)
	if len(b) < width {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:width] {
		v = v<<8 | uint64(c)
	}
	return v, width
}
