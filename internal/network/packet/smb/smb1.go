package smb

import (
	"bytes"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	smb1Len       = 32
	smb1Negotiate = 0x72
	smb1Setup     = 0x73
	smb1Tree      = 0x75
	smb1Response  = 0x80
	smb1Unicode   = 0x8000
)

// smb1 reads what of SMB1 is of interest (MS-CIFS section 2.2.3.1). A
// negotiation that SMB2 answers is replaced by SMB2's.
func (s *Stream) smb1(out *parse.Out, b []byte) {
	if len(b) <= smb1Len {
		return
	}
	response, wide := b[9]&smb1Response != 0, le.Uint16(b[10:])&smb1Unicode != 0
	words := b[smb1Len+1:]
	size := 2 * int(b[smb1Len])
	if size+2 > len(words) {
		return
	}
	words, data := words[:size], words[size+2:]
	switch b[4] {
	case smb1Negotiate:
		if response && size >= 34 { // the NT LM 0.12 dialect
			s.row.Dialect = "1"
			s.signing1(words[2])
		}
	case smb1Setup:
		if !response && size == 24 { // with extended security (MS-SMB section 2.2.4.6.1)
			s.ntlm(out, data[:min(len(data), int(le.Uint16(words[14:])))])
		}
	case smb1Tree:
		if !response && size == 8 { // password, then path (MS-CIFS section 2.2.4.55.1)
			at := int(le.Uint16(words[6:]))
			if at > len(data) {
				return
			}
			s.tree(out, path1(b, data[at:], wide))
		}
	}
}

// signing1 keeps the security mode of a server (MS-CIFS section 2.2.4.52.2).
func (s *Stream) signing1(mode byte) {
	switch {
	case mode&8 != 0:
		s.row.Signing = "required"
	case mode&4 != 0:
		s.row.Signing = "enabled"
	default:
		s.row.Signing = "none"
	}
}

// path1 is the text at the begin of data, up to its zero. In Unicode it begins
// at an even place of the message.
func path1(msg, data []byte, wide bool) []byte {
	if !wide {
		if i := bytes.IndexByte(data, 0); i >= 0 {
			data = data[:i]
		}
		return data
	}
	if (len(msg)-len(data))%2 != 0 && len(data) > 0 {
		data = data[1:]
	}
	for i := 0; i+1 < len(data); i += 2 {
		if data[i] == 0 && data[i+1] == 0 {
			return unicode(data[:i])
		}
	}
	return unicode(data)
}
