package tls

import "iter"

// The handshake messages that are told apart (RFC 8446 section 4, RFC 5246
// section 7.4).
const (
	typeClientHello       = 1
	typeServerHello       = 2
	typeCertificate       = 11
	typeServerKeyExchange = 12
	typeServerHelloDone   = 14
)

// retry is the random of a ServerHello that is a HelloRetryRequest (RFC 8446
// section 4.1.3).
const retry = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// serverHello is what a server chose. It points into the bytes it was parsed
// from.
type serverHello struct {
	legacy     uint16 // legacy_version
	version    uint16
	cipher     uint16
	retry      bool // it is a HelloRetryRequest
	shared     bool // it took a pre-shared key
	session    []byte
	alpn       []byte
	extensions []byte
}

// parse reads the body of a ServerHello (RFC 8446 section 4.1.3). What was
// read before a fault stays.
func (s *serverHello) parse(b []byte) error {
	*s = serverHello{}
	if len(b) < 38 || b[0] != 3 {
		return ErrBroken
	}
	s.legacy = be.Uint16(b)
	s.version = s.legacy
	s.retry = string(b[2:34]) == retry
	var ok bool
	if s.session, b, ok = take(b[34:], 1); !ok || len(b) < 3 {
		return ErrBroken
	}
	s.cipher = be.Uint16(b)
	if b = b[3:]; len(b) == 0 {
		return nil
	}
	if s.extensions, _, ok = take(b, 2); !ok {
		return ErrBroken
	}
	for typ, data := range extensions(s.extensions) {
		switch typ {
		case extSupportedVersions:
			if len(data) == 2 {
				s.version = be.Uint16(data)
			}
		case extPreSharedKey:
			s.shared = true
		case extALPN:
			list, _, _ := take(data, 2)
			s.alpn, _, _ = take(list, 1)
		}
	}
	return nil
}

// modern reports whether a version is TLS 1.3 or a draft of it, in which all
// that follows the ServerHello is encrypted.
func modern(version uint16) bool { return version >= 0x0304 }

// extensions walks over a list of extensions, up to the first that is cut off.
func extensions(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			typ := be.Uint16(b)
			data, rest, ok := take(b[2:], 2)
			if !ok || !yield(typ, data) {
				return
			}
			b = rest
		}
	}
}
