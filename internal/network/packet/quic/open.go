package quic

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
)

// keys protect the client's Initial packets (RFC 9001 section 5).
type keys struct {
	aead cipher.AEAD
	hp   cipher.Block
	iv   []byte
}

// The salts of the versions (RFC 9001 section 5.2, RFC 9369 section 3.3.1, and
// the drafts).
const (
	salt1       = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
	salt2       = "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
	saltDraft29 = "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
	saltDraft23 = "\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
)

// derive makes the client's Initial keys of the connection id that it chose
// (RFC 9001 section 5.2).
func derive(version uint32, id []byte) (*keys, error) {
	salt, prefix := salt1, "quic "
	switch {
	case version == version2:
		salt, prefix = salt2, "quicv2 "
	case version == version1 || version > draft32:
	case version >= draft29:
		salt = saltDraft29
	default:
		salt = saltDraft23
	}
	if len(id) > maxMessage {
		return nil, errors.New("the connection id is too long")
	}
	secret := mac([]byte(salt), id) // HKDF-Extract (RFC 5869 section 2.2)
	secret = expand(&secret, "client in", 32)
	key, iv, hp := expand(&secret, prefix+"key", 16), expand(&secret, prefix+"iv", 12), expand(&secret, prefix+"hp", 16)
	return newKeys(key[:16], iv[:12], hp[:16])
}

func newKeys(key, iv, hp []byte) (*keys, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	k := &keys{iv: iv}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	k.hp, err = aes.NewCipher(hp)
	return k, err
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446 section 7.1), of
// which the first size bytes count: they are of one block.
func expand(secret *[sha256.Size]byte, label string, size byte) [sha256.Size]byte {
	var info [maxMessage]byte
	b := append(info[:0], 0, size, byte(len("tls13 ")+len(label)))
	b = append(append(append(b, "tls13 "...), label...), 0, 1)
	return mac(secret[:], b)
}

const maxMessage = 64 // bytes that mac takes, at most

// mac is HMAC-SHA256 (RFC 2104) of a key and a message that are short. The
// standard library's allocates, five times for each connection.
func mac(key, message []byte) [sha256.Size]byte {
	var in [sha256.BlockSize + maxMessage]byte
	var out [sha256.BlockSize + sha256.Size]byte
	copy(in[:sha256.BlockSize], key)
	copy(out[:sha256.BlockSize], key)
	for i := range sha256.BlockSize {
		in[i] ^= 0x36
		out[i] ^= 0x5c
	}
	inner := sha256.Sum256(in[:sha256.BlockSize+copy(in[sha256.BlockSize:], message)])
	copy(out[sha256.BlockSize:], inner[:])
	return sha256.Sum256(out[:])
}

// open removes the protection of an Initial packet. The keys of the connection
// so far come first; another connection id than theirs gives new ones, as
// after a Retry, and begins the connection anew.
func (p *Parser) open(c *connection, h head, b []byte) (frames []byte, ok bool) {
	same := c.keys != nil && c.version == h.version && bytes.Equal(c.id[:c.size], h.id)
	if c.keys != nil {
		if frames, ok = p.decrypt(c.keys, h, b); ok || same {
			return frames, ok
		}
	}
	k, err := derive(h.version, h.id)
	if err != nil {
		return nil, false
	}
	if frames, ok = p.decrypt(k, h, b); !ok {
		return nil, false
	}
	c.keys, c.version, c.size = k, h.version, copy(c.id[:], h.id)
	c.crypto = c.crypto.empty()
	return frames, true
}

// decrypt removes header protection and packet protection (RFC 9001 sections
// 5.3 and 5.4) in a copy of the packet.
func (p *Parser) decrypt(k *keys, h head, b []byte) ([]byte, bool) {
	const sample = 16
	if len(b) < h.number+4+sample {
		return nil, false
	}
	p.plain = append(p.plain[:0], b...)
	c := p.plain
	var mask [sample]byte
	k.hp.Encrypt(mask[:], c[h.number+4:h.number+4+sample])
	c[0] ^= mask[0] & 0x0f
	width := int(c[0]&3) + 1
	var nonce [12]byte
	copy(nonce[:], k.iv)
	for i := range width {
		c[h.number+i] ^= mask[1+i]
		nonce[12-width+i] ^= c[h.number+i]
	}
	body := c[h.number+width:]
	frames, err := k.aead.Open(body[:0], nonce[:], body, c[:h.number+width])
	return frames, err == nil
}
