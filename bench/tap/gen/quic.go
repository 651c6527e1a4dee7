package gen

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
)

// saltV1 is that of QUIC version 1 (RFC 9001 section 5.2).
const saltV1 = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"

func expand(secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := string([]byte{0, byte(n), byte(len(label))}) + label + "\x00"
	b, err := hkdf.Expand(sha256.New, secret, info, n)
	must(err)
	return b
}

// initial seals the frames into a client's Initial packet of 1,200 bytes
// (RFC 9000 section 17.2.2, RFC 9001 section 5).
func initial(id, source []byte, number byte, frames []byte) []byte {
	secret, err := hkdf.Extract(sha256.New, id, []byte(saltV1))
	must(err)
	secret = expand(secret, "client in", 32)
	block, err := aes.NewCipher(expand(secret, "quic key", 16))
	must(err)
	aead, err := cipher.NewGCM(block)
	must(err)
	mask, err := aes.NewCipher(expand(secret, "quic hp", 16))
	must(err)
	nonce := expand(secret, "quic iv", 12)
	nonce[11] ^= number

	b := []byte{0xc0, 0, 0, 0, 1}
	b = append(append(b, vector(1, id)...), vector(1, source)...)
	b = append(b, 0) // no token
	size := 1200 - len(b) - 2
	b = be.AppendUint16(b, 0x4000|uint16(size))
	at := len(b)
	b = append(b, number)
	frames = append(frames, make([]byte, size-1-16-len(frames))...)
	b = aead.Seal(b, nonce, frames, b)
	var m [16]byte
	mask.Encrypt(m[:], b[at+4:at+20])
	b[0] ^= m[0] & 0x0f
	b[at] ^= m[1]
	return b
}

// cryptoFrame carries a part of the handshake (RFC 9000 section 19.6).
func cryptoFrame(offset int, b []byte) []byte {
	f := be.AppendUint16([]byte{6}, 0x4000|uint16(offset))
	return append(be.AppendUint16(f, 0x4000|uint16(len(b))), b...)
}

// quic is a connection whose ClientHello has one Initial packet or, with a
// large key share, two.
func (t *talk) quic() {
	t.meet(0, 443)
	t.g.notes.quic++
	c := &clients[1]
	if t.rng.IntN(3) == 0 {
		c = &clients[0]
	}
	hello := t.hello(c, t.name(), true)
	id, source := t.bytes(8), t.bytes(8)
	if n := 1100; len(hello) > n {
		t.send(0, 0, initial(id, source, 0, cryptoFrame(0, hello[:n])))
		t.send(0, 30_000, initial(id, source, 1, cryptoFrame(n, hello[n:])))
	} else {
		t.send(0, 0, initial(id, source, 0, cryptoFrame(0, hello)))
	}
	// What the server says is sealed with keys that depend on the same id; only
	// its outside is made here: a Handshake packet.
	b := append([]byte{0xe5, 0, 0, 0, 1}, vector(1, source)...)
	b = append(b, vector(1, t.bytes(8))...)
	b = be.AppendUint16(b, 0x4000|1150)
	t.send(1, 12e6, append(b, t.bytes(1150)...))
	t.record = func(_, n int) []byte {
		p := append([]byte{0x43}, t.bytes(max(25, n))...)
		return p
	}
	t.send(0, 500_000, t.record(0, 60))
}
