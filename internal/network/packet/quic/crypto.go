package quic

import "github.com/rind-project/rind/internal/network/packet/parse"

// The frames of an Initial packet (RFC 9000 section 17.2.2).
const (
	framePadding = 0x00
	framePing    = 0x01
	frameACK     = 0x02
	frameACKECN  = 0x03
	frameCrypto  = 0x06
	frameClose   = 0x1c
)

// crypto puts the CRYPTO frames of a connection together, in whatever order
// they come.
type crypto struct {
	buf  []byte
	have []uint64 // a bit for each byte that is there
	upto int      // bytes that are there without a gap
}

// empty is a crypto with the memory of this one.
func (c *crypto) empty() crypto { return crypto{buf: c.buf[:0], have: c.have[:0]} }

// frames reads the frames of a packet. It reports false when one is not
// allowed in an Initial packet, cut off, or beyond the limit.
func (c *crypto) frames(b []byte) bool {
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case framePadding, framePing:
		case frameACK, frameACKECN:
			var ok bool
			if b, ok = ack(b, kind == frameACKECN); !ok {
				return false
			}
		case frameCrypto:
			offset, n := varint(b)
			size, m := varint(b[n:])
			if n == 0 || m == 0 || size > uint64(len(b)-n-m) || offset > maxCrypto || offset+size > maxCrypto {
				return false
			}
			c.add(int(offset), b[n+m:n+m+int(size)])
			b = b[n+m+int(size):]
		case frameClose:
			return true
		default:
			return false
		}
	}
	return true
}

// ack passes over an ACK frame (RFC 9000 section 19.3).
func ack(b []byte, ecn bool) (rest []byte, ok bool) {
	left := uint64(4) // largest, delay, count of ranges, first range
	for i := uint64(0); i < left; i++ {
		v, n := varint(b)
		if n == 0 {
			return nil, false
		}
		b = b[n:]
		if i == 2 {
			if v > uint64(len(b)) {
				return nil, false
			}
			if left += 2 * v; ecn {
				left += 3
			}
		}
	}
	return b, true
}

// add keeps bytes that are not there yet.
func (c *crypto) add(offset int, b []byte) {
	if end := offset + len(b); end > len(c.buf) {
		for len(c.buf) < end {
			c.buf = append(c.buf, 0)
		}
		for len(c.have)*64 < end {
			c.have = append(c.have, 0)
		}
	}
	for i, v := range b {
		at := offset + i
		if bit := uint64(1) << (at & 63); c.have[at>>6]&bit == 0 {
			c.have[at>>6] |= bit
			c.buf[at] = v
		}
	}
	for c.upto < len(c.buf) && c.have[c.upto>>6]>>(c.upto&63)&1 == 1 {
		c.upto++
	}
}

// message returns the handshake message with which the stream begins, or nil
// when it is not all there yet.
func (c *crypto) message() ([]byte, error) {
	if c.upto < 4 {
		return nil, nil
	}
	size := 4 + (int(c.buf[1])<<16 | int(c.buf[2])<<8 | int(c.buf[3]))
	if size > maxCrypto {
		return nil, parse.ErrMalformed
	}
	if c.upto < size {
		return nil, nil
	}
	return c.buf[:size], nil
}
