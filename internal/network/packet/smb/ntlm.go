package smb

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	ntlmNegotiate    = 1
	ntlmAuthenticate = 3
	ntlmUnicode      = 1 // NTLMSSP_NEGOTIATE_UNICODE
	maxNames         = 4 * parse.MaxText
)

var ntlmMark = []byte("NTLMSSP\x00")

// ntlm keeps the names in an NTLM message (MS-NLMP sections 2.2.1.1 and
// 2.2.1.3), which may stand inside SPNEGO. The responses to the challenge,
// which passwords can be guessed from, are not looked at.
func (s *Stream) ntlm(out *parse.Out, b []byte) {
	i := bytes.Index(b, ntlmMark)
	if i < 0 || len(b)-i < 32 {
		return
	}
	b = b[i:]
	switch le.Uint32(b[8:]) {
	case ntlmNegotiate: // always in the character set of the machine
		s.keep(out, &s.row.Domain, field(b, 16))
		s.keep(out, &s.row.Host, field(b, 24))
	case ntlmAuthenticate:
		if len(b) < 64 {
			return
		}
		text := func(b []byte) []byte { return b }
		if le.Uint32(b[60:])&ntlmUnicode != 0 {
			text = unicode
		}
		s.keep(out, &s.row.Domain, text(field(b, 28)))
		s.keep(out, &s.row.User, text(field(b, 36)))
		s.keep(out, &s.row.Host, text(field(b, 44)))
	}
}

func (s *Stream) keep(out *parse.Out, name *string, b []byte) {
	if len(b) > 0 {
		*name = out.Text(b)
		s.full = s.full || out.Overflown()
	}
}

// field is what a length and offset at that place point to.
func field(b []byte, at int) []byte {
	size, offset := int(le.Uint16(b[at:])), uint64(le.Uint32(b[at+4:]))
	if offset > uint64(len(b)) || size > len(b)-int(offset) {
		return nil
	}
	return b[offset : int(offset)+size]
}

// unicode makes UTF-8 of UTF-16, as much as a text may have.
func unicode(b []byte) []byte {
	b = b[:min(len(b), maxNames)]
	dst := make([]byte, 0, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(le.Uint16(b[i:]))
		if utf16.IsSurrogate(r) && i+3 < len(b) {
			if full := utf16.DecodeRune(r, rune(le.Uint16(b[i+2:]))); full != utf8.RuneError {
				r = full
				i += 2
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
