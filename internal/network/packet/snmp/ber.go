package snmp

import "strconv"

// The tags of ASN.1's Basic Encoding Rules (X.690) that SNMP has.
const (
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagObject      = 0x06
	tagSequence    = 0x30
)

// element splits the first element of b. SNMP has tags of one byte only, and
// nothing here is of indefinite length (RFC 3417 section 8).
func element(b []byte) (tag byte, value, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	size, at := int(b[1]), 2
	if size >= 0x80 {
		n := size & 0x7f
		if n == 0 || n > 4 || len(b) < 2+n {
			return 0, nil, nil, false
		}
		size, at = 0, 2+n
		for _, c := range b[2:at] {
			size = size<<8 | int(c)
		}
	}
	if size < 0 || size > len(b)-at {
		return 0, nil, nil, false
	}
	return b[0], b[at : at+size], b[at+size:], true
}

// expect is element of that tag.
func expect(b []byte, tag byte) (value, rest []byte, ok bool) {
	t, v, rest, ok := element(b)
	return v, rest, ok && t == tag
}

// integer is expect of a small integer.
func integer(b []byte) (n int64, rest []byte, ok bool) {
	v, rest, ok := expect(b, tagInteger)
	if !ok || len(v) == 0 || len(v) > 8 {
		return 0, nil, false
	}
	n = int64(int8(v[0]))
	for _, c := range v[1:] {
		n = n<<8 | int64(c)
	}
	return n, rest, true
}

const (
	maxArcs = 128 // RFC 3416 section 4.1
	maxOID  = 240 // bytes of its text
)

// appendObject appends an object identifier in text, cut when it is long.
func appendObject(dst, v []byte) []byte {
	first := true
	var arc uint64
	arcs := 0
	for i, c := range v {
		if arc > 1<<32 {
			return dst // arcs have 32 bits
		}
		if arc = arc<<7 | uint64(c&0x7f); c&0x80 != 0 {
			if i == len(v)-1 {
				return dst
			}
			continue
		}
		if first {
			first = false
			top := min(arc/40, 2)
			dst = append(strconv.AppendUint(dst, top, 10), '.')
			arc -= 40 * top
		} else {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, arc, 10)
		if arc = 0; len(dst) > maxOID-12 {
			return dst
		}
		if arcs++; arcs >= maxArcs {
			return dst
		}
	}
	return dst
}
