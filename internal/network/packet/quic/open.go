package quic

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
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
	secret, err := hkdf.Extract(sha256.New, id, []byte(salt))
	if err != nil {
		return nil, err
	}
	if secret, err = expand(secret, "client in", 32); err != nil {
		return nil, err
	}
	key, err := expand(secret, prefix+"key", 16)
	if err != nil {
		return nil, err
	}
	iv, err := expand(secret, prefix+"iv", 12)
	if err != nil {
		return nil, err
	}
	hp, err := expand(secret, prefix+"hp", 16)
	if err != nil {
		return nil, err
	}
	return newKeys(key, iv, hp)
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

// expand is HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
func expand(secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := string([]byte{byte(size >> 8), byte(size), byte(len(label))}) + label + "\x00"
	return hkdf.Expand(sha256.New, secret, info, size)
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
