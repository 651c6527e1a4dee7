package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// maxListed is how many cipher suites, extensions or groups a hello may list
// for its fingerprints to be made. Clients list some dozens.
const maxListed = 1024

// Printer makes fingerprints in memory of its own, which it reuses. It belongs
// to one goroutine.
type Printer struct {
	text   []byte
	list   []uint16
	memory *Memory // nil remembers nothing
}

// The transports of JA4.
const (
	OverTCP  = 't'
	OverQUIC = 'q'
)

// JA3 returns the MD5, in hexadecimal, of the version, cipher suites,
// extensions, groups and point formats that the client offers, in its order
// and without GREASE (https://github.com/salesforce/ja3). It is valid until
// the next call, and nil when the hello lists too much.
func (p *Printer) JA3(h *Hello) []byte {
	if len(h.ciphers) > 2*maxListed || len(h.groups) > 2*maxListed || len(h.formats) > maxListed {
		return nil
	}
	b := strconv.AppendUint(p.text[:0], uint64(h.legacy), 10)
	b = decimals(append(b, ','), h.ciphers)
	b = append(b, ',')
	n := 0
	for typ := range extensions(h.extensions) {
		if n++; n > maxListed {
			return nil
		}
		if !grease(typ) {
			b = dashed(b, typ)
		}
	}
	b = decimals(append(b, ','), h.groups)
	b = append(b, ',')
	for _, f := range h.formats {
		b = dashed(b, uint16(f))
	}
	return p.md5(b)
}

// ja3s returns the MD5, in hexadecimal, of the version, cipher suite and
// extensions of the server.
func (p *Printer) ja3s(s *serverHello) []byte {
	b := strconv.AppendUint(p.text[:0], uint64(s.legacy), 10)
	b = strconv.AppendUint(append(b, ','), uint64(s.cipher), 10)
	b = append(b, ',')
	n := 0
	for typ := range extensions(s.extensions) {
		if n++; n > maxListed {
			return nil
		}
		b = dashed(b, typ)
	}
	return p.md5(b)
}

func (p *Printer) md5(b []byte) []byte {
	sum := md5.Sum(b)
	p.text = hex.AppendEncode(b[:0], sum[:])
	return p.text
}

// dashed appends a number to a list; a dash comes between two.
func dashed(b []byte, v uint16) []byte {
	if b[len(b)-1] != ',' {
		b = append(b, '-')
	}
	return strconv.AppendUint(b, uint64(v), 10)
}

func decimals(b, list []byte) []byte {
	for ; len(list) >= 2; list = list[2:] {
		if v := be.Uint16(list); !grease(v) {
			b = dashed(b, v)
		}
	}
	return b
}

// JA4 returns the fingerprint JA4 of the client
// (https://github.com/FoxIO-LLC/ja4, technical_details/JA4.md), such as
// t13d1516h2_8daaf6152771_e5627efa2ab1. It is valid until the next call, and
// nil when the hello lists too much.
func (p *Printer) JA4(h *Hello, transport byte) []byte {
	if len(h.ciphers) > 2*maxListed || len(h.algorithms) > 2*maxListed {
		return nil
	}
	p.list = p.list[:0]
	named, count := byte('i'), 0
	for typ := range extensions(h.extensions) {
		if count >= maxListed {
			return nil
		}
		if grease(typ) {
			continue
		}
		count++
		switch typ {
		case extServerName:
			named = 'd'
		case extALPN:
		default:
			p.list = append(p.list, typ)
		}
	}
	// The hash of the extensions first: the list is used again.
	slices.Sort(p.list)
	b := hexes(p.text[:0], p.list)
	if len(h.algorithms) >= 2 {
		b = append(b, '_')
		p.list = values(p.list[:0], h.algorithms)
		b = hexes(b, p.list)
	}
	offer := truncated(b)
	p.list = values(p.list[:0], h.ciphers)
	ciphers := len(p.list)
	slices.Sort(p.list)
	b = hexes(b[:0], p.list)
	suites := truncated(b)

	b = append(b[:0], transport)
	b = append(b, ja4Version(h.Version)...)
	b = append(b, named)
	b = pair(pair(b, ciphers), count)
	b = h.ja4ALPN(b)
	b = append(append(b, '_'), suites[:]...)
	b = append(append(b, '_'), offer[:]...)
	p.text = b
	return b
}

// values appends the numbers of a list without GREASE.
func values(to []uint16, list []byte) []uint16 {
	for ; len(list) >= 2; list = list[2:] {
		if v := be.Uint16(list); !grease(v) {
			to = append(to, v)
		}
	}
	return to
}

const digits = "0123456789abcdef"

// hexes appends four hexadecimal digits for each number, with commas.
func hexes(b []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15])
	}
	return b
}

// truncated is the first half of a hash in JA4: of nothing, it is zeros.
func truncated(b []byte) (out [12]byte) {
	if len(b) == 0 {
		return [12]byte{'0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0'}
	}
	sum := sha256.Sum256(b)
	hex.Encode(out[:], sum[:6])
	return out
}

// pair appends a number as two digits, at most 99.
func pair(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

func ja4Version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	}
	return "00"
}

// ja4ALPN appends the first and last character of the first protocol; of its
// hexadecimal form, when one of them is neither letter nor digit.
func (h *Hello) ja4ALPN(b []byte) []byte {
	if h.NumALPN == 0 {
		return append(b, '0', '0')
	}
	name := h.ALPN[0]
	first, last := name[0], name[len(name)-1]
	if !alphanumeric(first) || !alphanumeric(last) {
		return append(b, digits[first>>4], digits[last&15])
	}
	return append(b, first, last)
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
