// Package dns reads DNS messages (RFC 1035) from untrusted bytes and matches
// questions with answers. Every walk has a limit and nothing is allocated
// before a record is handed out.
package dns

import "errors"

// Limits of one message.
const (
	maxName    = 255 // bytes of a name on the wire, RFC 1035 section 2.3.4
	maxHops    = 32  // compression pointers in one name
	maxRecords = 512 // records walked
	MaxAnswers = 16  // answers kept
	headerLen  = 12
)

// Why a message could not be read.
var (
	ErrShort   = errors.New("dns: message ends too early")
	ErrName    = errors.New("dns: name is not valid")
	ErrNothing = errors.New("dns: message has no question")
)

// Name is a name in wire form without compression, in lower case. The zero
// value is no name; the root is one byte.
type Name struct {
	n uint8
	b [maxName]byte
}

// bytes returns the wire form.
func (n *Name) bytes() []byte { return n.b[:n.n] }

// set copies a name; most are far shorter than the room for one.
func (n *Name) set(o *Name) {
	n.n = o.n
	copy(n.b[:n.n], o.b[:o.n])
}

// Equal reports whether two names are the same.
func (n *Name) Equal(o *Name) bool { return n.n == o.n && string(n.bytes()) == string(o.bytes()) }

// AppendText appends the name in text: lower case, labels separated by dots,
// no trailing dot, every byte that is not printable ASCII, and every dot or
// backslash inside a label, as \DDD. The root is ".".
func (n *Name) AppendText(dst []byte) []byte {
	w := n.bytes()
	if len(w) <= 1 {
		return append(dst, '.')
	}
	for i := 0; i < len(w) && w[i] != 0; {
		if i > 0 {
			dst = append(dst, '.')
		}
		label := w[i+1 : i+1+int(w[i])]
		i += 1 + len(label)
		for _, c := range label {
			if c > ' ' && c < 0x7f && c != '.' && c != '\\' {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		}
	}
	return dst
}

// read reads the name at off, following pointers, each of which must point
// before the part it was found in, and returns the offset behind it.
func (n *Name) read(msg []byte, off int) (next int, err error) {
	n.n = 0
	size, hops, limit := 0, 0, off
	for {
		if off >= len(msg) {
			return 0, ErrShort
		}
		c := int(msg[off])
		switch {
		case c == 0:
			if size >= maxName {
				return 0, ErrName
			}
			n.b[size] = 0
			n.n = uint8(size + 1)
			if hops == 0 {
				next = off + 1
			}
			return next, nil
		case c < 64:
			if off+1+c > len(msg) {
				return 0, ErrShort
			}
			if size+1+c >= maxName {
				return 0, ErrName
			}
			n.b[size] = byte(c)
			for i, ch := range msg[off+1 : off+1+c] {
				if 'A' <= ch && ch <= 'Z' {
					ch += 'a' - 'A'
				}
				n.b[size+1+i] = ch
			}
			size, off = size+1+c, off+1+c
		case c >= 192:
			if off+2 > len(msg) {
				return 0, ErrShort
			}
			if hops == 0 {
				next = off + 2
			}
			to := (c&63)<<8 | int(msg[off+1])
			if hops++; hops > maxHops || to >= limit {
				return 0, ErrName
			}
			off, limit = to, to
		default:
			return 0, ErrName
		}
	}
}

// skip returns the offset behind the name at off, without following pointers.
func skip(msg []byte, off int) int {
	for start := off; ; {
		if off >= len(msg) {
			return 0
		}
		switch c := int(msg[off]); {
		case c == 0:
			return off + 1
		case c >= 192:
			if off+2 > len(msg) {
				return 0
			}
			return off + 2
		case c < 64:
			off += 1 + c
		default:
			return 0
		}
		if off-start > maxName {
			return 0
		}
	}
}
