// Package tls reads the visible part of a TLS handshake (RFC 8446, RFC 5246)
// from untrusted bytes: both hellos, the server's certificate up to TLS 1.2,
// and alerts; and it makes the fingerprints JA3, JA3S and JA4 of them.
package tls

import (
	"encoding/binary"
	"errors"
)

// Limits of one ClientHello.
const (
	MaxHello   = 16 << 10 // bytes of stream that are read for it
	MaxALPN    = 8        // protocols kept
	maxSNI     = 255
	recordHead = 5
	handHead   = 4
)

// Why there is no ClientHello.
var (
	ErrMore    = errors.New("tls: the ClientHello goes on")
	ErrNotTLS  = errors.New("tls: not a ClientHello")
	ErrTooLong = errors.New("tls: the ClientHello is longer than the limit")
	ErrBroken  = errors.New("tls: the ClientHello is not valid")
)

var be = binary.BigEndian

// Hello is what a ClientHello offers. It is meant to be reused, and points
// into the bytes it was parsed from or into itself.
type Hello struct {
	Version uint16 // the highest offered
	SNI     []byte // as sent; nil when there is none
	ALPN    [MaxALPN][]byte
	NumALPN int

	// What fingerprints are made of, as sent.
	legacy     uint16 // legacy_version
	session    []byte
	ciphers    []byte // two bytes each
	extensions []byte
	groups     []byte // two bytes each: supported_groups
	formats    []byte // one byte each: ec_point_formats
	algorithms []byte // two bytes each: signature_algorithms
	versions   []byte // two bytes each: supported_versions

	joined []byte // handshake bytes of a ClientHello that spans records
}

// reset forgets all but the buffer.
func (h *Hello) reset() { *h = Hello{joined: h.joined[:0]} }

// Message reads a whole ClientHello handshake message, with its header, as
// QUIC carries it (RFC 9001 section 4).
func (h *Hello) Message(b []byte) error {
	h.reset()
	if len(b) < handHead || b[0] != typeClientHello {
		return ErrNotTLS
	}
	if !complete(b) {
		return ErrMore
	}
	return h.body(b[handHead : handHead+(int(b[1])<<16|int(b[2])<<8|int(b[3]))])
}

// LooksLike reports whether a payload begins like a handshake record, and
// whether the message in it is a ClientHello (as opposed to a ServerHello).
func LooksLike(b []byte) (handshake, client bool) {
	if len(b) < 6 || b[0] != 22 || b[1] != 3 || b[2] > 4 {
		return false, false
	}
	return b[5] == 1 || b[5] == 2, b[5] == 1
}

// Need returns how many bytes of stream are needed at least before Parse can
// say more than ErrMore, given its beginning.
func Need(b []byte) int {
	if len(b) < recordHead {
		return recordHead
	}
	return recordHead + int(be.Uint16(b[3:]))
}

// Parse reads the ClientHello at the beginning of a stream from the client.
// ErrMore says that it is not all there yet. A ClientHello over several
// records is put together in a buffer of the Hello's own.
func (h *Hello) Parse(b []byte) error {
	h.reset()
	if len(b) > MaxHello {
		b = b[:MaxHello]
	}
	first := true
	for {
		if len(b) < recordHead {
			return ErrMore
		}
		size := int(be.Uint16(b[3:]))
		if b[0] != 22 || b[1] != 3 || size == 0 || size > 1<<14+256 {
			return ErrNotTLS
		}
		whole := recordHead+size <= len(b)
		body := b[recordHead:min(recordHead+size, len(b))]
		message := body
		if !first || whole && !complete(body) {
			h.joined = append(h.joined, body...)
			message = h.joined
		}
		if len(message) >= handHead {
			if message[0] != typeClientHello {
				return ErrNotTLS
			}
			length := handHead + (int(message[1])<<16 | int(message[2])<<8 | int(message[3]))
			if length > MaxHello-recordHead {
				return ErrTooLong
			}
			if len(message) >= length {
				return h.body(message[handHead:length])
			}
		}
		if !whole {
			return ErrMore
		}
		b, first = b[recordHead+size:], false
	}
}

// complete reports whether b holds a whole handshake message.
func complete(b []byte) bool {
	return len(b) >= handHead && len(b) >= handHead+(int(b[1])<<16|int(b[2])<<8|int(b[3]))
}

// take cuts a vector with a length of width bytes from the front of b.
func take(b []byte, width int) (vector, rest []byte, ok bool) {
	if len(b) < width {
		return nil, nil, false
	}
	n := int(b[0])
	if width == 2 {
		n = n<<8 | int(b[1])
	}
	if len(b) < width+n {
		return nil, nil, false
	}
	return b[width : width+n], b[width+n:], true
}

// body reads the ClientHello structure. What was read before a fault stays.
func (h *Hello) body(b []byte) error {
	if len(b) < 34 || b[0] != 3 {
		return ErrBroken
	}
	h.legacy = be.Uint16(b)
	h.Version = h.legacy
	b = b[34:]
	var ok bool
	if h.session, b, ok = take(b, 1); !ok {
		return ErrBroken
	}
	if h.ciphers, b, ok = take(b, 2); !ok {
		return ErrBroken
	}
	if _, b, ok = take(b, 1); !ok { // compression methods
		return ErrBroken
	}
	if len(b) == 0 {
		return nil // no extensions: SSL 3.0 and some TLS 1.0
	}
	if b, _, ok = take(b, 2); !ok {
		return ErrBroken
	}
	h.extensions = b
	for len(b) > 0 {
		if len(b) < 4 {
			return ErrBroken
		}
		typ := be.Uint16(b)
		var data []byte
		if data, b, ok = take(b[2:], 2); !ok {
			return ErrBroken
		}
		h.extension(typ, data)
	}
	return nil
}

// The extensions that are read.
const (
	extServerName        = 0
	extGroups            = 10
	extPointFormats      = 11
	extAlgorithms        = 13
	extALPN              = 16
	extPreSharedKey      = 41
	extSupportedVersions = 43
)

func (h *Hello) extension(typ uint16, data []byte) {
	switch typ {
	case extServerName:
		h.serverName(data)
	case extALPN:
		h.alpn(data)
	case extSupportedVersions:
		h.supported(data)
	case extGroups:
		h.groups, _, _ = take(data, 2)
	case extPointFormats:
		h.formats, _, _ = take(data, 1)
	case extAlgorithms:
		h.algorithms, _, _ = take(data, 2)
	}
}

// serverName keeps the first host name (RFC 6066 section 3).
func (h *Hello) serverName(data []byte) {
	list, _, _ := take(data, 2)
	for len(list) > 3 {
		kind := list[0]
		name, rest, ok := take(list[1:], 2)
		if !ok {
			return
		}
		if kind == 0 && len(name) > 0 && len(name) <= maxSNI && h.SNI == nil {
			h.SNI = name
		}
		list = rest
	}
}

// alpn keeps the first protocols (RFC 7301), without GREASE.
func (h *Hello) alpn(data []byte) {
	list, _, _ := take(data, 2)
	for len(list) > 1 && h.NumALPN < MaxALPN {
		name, rest, ok := take(list, 1)
		if !ok {
			return
		}
		if len(name) > 0 && (len(name) != 2 || !grease(be.Uint16(name))) {
			h.ALPN[h.NumALPN] = name
			h.NumALPN++
		}
		list = rest
	}
}

// supported takes the highest version offered (RFC 8446 section 4.2.1). The
// drafts of TLS 1.3 (0x7fXX) rank below it and above TLS 1.2.
func (h *Hello) supported(data []byte) {
	list, _, _ := take(data, 1)
	h.versions = list
	best := uint16(0)
	for ; len(list) >= 2; list = list[2:] {
		if v := be.Uint16(list); !grease(v) && (v>>8 == 3 || v>>8 == 0x7f) && rank(v) > rank(best) {
			best = v
		}
	}
	if best != 0 {
		h.Version = best
	}
}

func rank(v uint16) int {
	if v>>8 == 0x7f {
		return 0x0303<<8 | int(v&0xff)
	}
	return int(v) << 8
}

// grease reports whether v is one of the values reserved by RFC 8701.
func grease(v uint16) bool { return v>>8 == v&0xff && v&0x0f == 0x0a }
