package smb

import (
	"strconv"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	smb2Len      = 64
	negotiate    = 0
	sessionSetup = 1
	treeConnect  = 3
	flagResponse = 1
	wildcard     = 0x02ff // the dialect in answer to SMB1's negotiation
)

// smb2 reads the requests or answers in a message, each behind the header of
// MS-SMB2 section 2.2.1.
func (s *Stream) smb2(out *parse.Out, b []byte) {
	for range maxCompound {
		if len(b) < smb2Len || kind(b) != 0xfe || le.Uint16(b[4:]) != smb2Len {
			return
		}
		next := int(le.Uint32(b[20:]))
		one := b
		if next >= smb2Len && next < len(b) {
			one = b[:next]
		}
		s.command(out, le.Uint16(b[12:]), b[16]&flagResponse != 0, one)
		if len(one) == len(b) {
			return
		}
		b = b[next:]
	}
}

func (s *Stream) command(out *parse.Out, command uint16, response bool, b []byte) {
	body := b[smb2Len:]
	switch {
	case command == negotiate && response && len(body) >= 6 && le.Uint16(body) == 65:
		s.negotiated(le.Uint16(body[4:]), body[2])
	case command == sessionSetup && !response && len(body) >= 16 && le.Uint16(body) == 25:
		s.ntlm(out, part(b, le.Uint16(body[12:]), le.Uint16(body[14:])))
	case command == treeConnect && !response && len(body) >= 8 && le.Uint16(body) == 9:
		s.tree(out, unicode(part(b, le.Uint16(body[4:]), le.Uint16(body[6:]))))
	}
}

// negotiated keeps dialect and security mode of the server (MS-SMB2 section
// 2.2.4).
func (s *Stream) negotiated(dialect uint16, mode byte) {
	switch dialect {
	case wildcard:
		if s.row.Dialect == "" {
			s.row.Dialect = "2"
		}
	case 0x0202, 0x0302, 0x0311:
		s.row.Dialect = string([]byte{'0' + byte(dialect>>8), '.', '0' + byte(dialect>>4&15), '.', '0' + byte(dialect&15)})
	case 0x0210:
		s.row.Dialect = "2.1"
	case 0x0300:
		s.row.Dialect = "3.0"
	default:
		s.row.Dialect = "0x" + strconv.FormatUint(uint64(dialect), 16)
	}
	switch {
	case mode&2 != 0:
		s.row.Signing = "required"
	case mode&1 != 0:
		s.row.Signing = "enabled"
	default:
		s.row.Signing = "none"
	}
}

// part is the bytes of b that begin at an offset, as far as they are there.
func part(b []byte, offset, size uint16) []byte {
	at, end := int(offset), int(offset)+int(size)
	if at > len(b) {
		return nil
	}
	return b[at:min(end, len(b))]
}
