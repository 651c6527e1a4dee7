// Package rdp reads the beginning of a remote desktop connection (MS-RDPBCGR):
// the X.224 connection request and its confirmation, and the client's computer
// name when the two then go on in the clear.
package rdp

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	tpktHead  = 4 // version 3, reserved, length (RFC 1006 section 6)
	maxTPKT   = 8 << 10
	maxCookie = 128
	request   = 0xe0 // X.224 connection request
	confirm   = 0xd0 // X.224 connection confirm
	data      = 0xf0 // X.224 data
)

// What stands in the negotiation (MS-RDPBCGR sections 2.2.1.1.1, 2.2.1.2.1 and
// 2.2.1.2.2).
const (
	negRequest  = 1
	negResponse = 2
	negFailure  = 3
	negSize     = 8
)

// Where the connection is.
const (
	atRequest = iota
	atConfirm
	atConnect // MCS connect initial, in the clear
	atEnd
)

// Stream reads one connection, and adds one row to Records.RDP.
type Stream struct {
	session  network.Session
	place    int
	asked    bool
	offer    bool // the request holds protocols
	offered  uint32
	answered byte // kind of the negotiation's answer, or 0
	selected uint32
	cookie   [maxCookie]byte
	cookied  int
	name     [32]byte // UTF-16, little endian
	named    bool
	text     []byte
}

var _ parse.Stream = (*Stream)(nil)

// LooksLike reports whether a client begins with a connection request that
// names what it is for: a cookie, a routing token or protocols.
func LooksLike(side int, b []byte) bool {
	if side != parse.Client || len(b) < tpktHead+7 || b[0] != 3 || b[1] != 0 || b[5] != request {
		return false
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size > maxTPKT || int(b[4]) != size-tpktHead-1 || b[6]|b[7] != 0 {
		return false
	}
	rest := b[tpktHead+7:]
	return size == tpktHead+7 || bytes.HasPrefix(rest, []byte("Cookie: ")) || len(rest) >= negSize && rest[0] == negRequest && rest[2] == negSize
}

// Reset makes the stream ready for the next connection.
func (s *Stream) Reset() { *s = Stream{text: s.text[:0]} }

// Next takes one TPKT.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (int, error) {
	switch {
	case s.place == atEnd:
		return len(b), parse.ErrDone
	case s.place == atConnect && side == parse.Server:
		return len(b), parse.ErrDone
	}
	if len(b) < tpktHead {
		return 0, nil
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if b[0] != 3 || size < tpktHead+3 || size > maxTPKT {
		return 0, s.bad()
	}
	if len(b) < size {
		return 0, nil
	}
	body := b[tpktHead:size]
	switch {
	case s.place == atRequest && side == parse.Client:
		s.session = out.Session
		if !s.request(body) {
			return 0, parse.ErrNot
		}
	case s.place == atConfirm && side == parse.Server:
		return size, s.confirm(body)
	case s.place == atConnect && side == parse.Client:
		s.connect(body)
		s.place = atEnd
		return size, parse.ErrDone
	default:
		return 0, s.bad()
	}
	return size, nil
}

func (s *Stream) bad() error {
	if s.place == atRequest {
		return parse.ErrNot
	}
	return parse.ErrMalformed
}

// request reads an X.224 connection request: a cookie or a routing token, and
// the protocols that the client can do.
func (s *Stream) request(b []byte) bool {
	if len(b) < 7 || b[1] != request || int(b[0]) != len(b)-1 {
		return false
	}
	b = b[7:]
	if end := bytes.Index(b, []byte("\r\n")); end >= 0 && bytes.HasPrefix(b, []byte("Cookie: ")) {
		s.cookied = copy(s.cookie[:], b[len("Cookie: "):end])
		b = b[end+2:]
	}
	if len(b) >= negSize && b[0] == negRequest {
		s.offer, s.offered = true, binary.LittleEndian.Uint32(b[4:])
	}
	s.asked, s.place = true, atConfirm
	return true
}

// confirm reads an X.224 connection confirm, and says how the connection goes
// on: as TLS, when that was chosen.
func (s *Stream) confirm(b []byte) error {
	if len(b) < 7 || b[1] != confirm || int(b[0]) != len(b)-1 {
		return parse.ErrMalformed
	}
	b = b[7:]
	s.answered, s.selected = negResponse, 0 // no answer: standard RDP security
	if len(b) >= negSize && (b[0] == negResponse || b[0] == negFailure) {
		s.answered, s.selected = b[0], binary.LittleEndian.Uint32(b[4:])
	}
	switch {
	case s.answered == negFailure:
		s.place = atEnd
		return parse.ErrDone
	case s.selected != 0:
		s.place = atEnd
		return parse.ErrTLS
	}
	s.place = atConnect
	return nil
}

// connect looks for the client's name in an MCS connect initial: BER around
// PER around the client core data (MS-RDPBCGR section 2.2.1.3).
func (s *Stream) connect(b []byte) {
	if len(b) < 5 || b[0] != 2 || b[1] != data || b[3] != 0x7f || b[4] != 0x65 {
		return
	}
	at := bytes.Index(b[:min(len(b), 256)], []byte("Duca")) // the H.221 key of the client's data
	if at < 0 {
		return
	}
	b = b[at+4:]
	if len(b) < 2 {
		return
	}
	// The length of what follows, as PER writes it.
	if b[0] < 0x80 {
		b = b[1:]
	} else {
		b = b[2:]
	}
	s.core(b)
}

// core finds the client core data among the blocks.
func (s *Stream) core(b []byte) {
	const kind, nameAt = 0xc001, 24
	for len(b) >= 4 {
		typ, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			return
		}
		if typ == kind && size >= nameAt+len(s.name) {
			copy(s.name[:], b[nameAt:])
			s.named = true
			return
		}
		b = b[size:]
	}
}

// End adds the row, when a request was seen.
func (s *Stream) End(out *parse.Out) {
	if !s.asked {
		return
	}
	s.asked = false
	row := network.RDP{Session: s.session, Cookie: out.Text(s.cookie[:s.cookied])}
	if s.offer {
		row.Offered = protocols(s.offered)
	}
	switch s.answered {
	case negResponse:
		row.Selected = protocols(s.selected)
	case negFailure:
		row.Selected = failure(s.selected)
	}
	if s.named {
		s.text = s.text[:0]
		for b := s.name[:]; len(b) >= 2 && (b[0] != 0 || b[1] != 0); b = b[2:] {
			s.text = appendUTF16(s.text, binary.LittleEndian.Uint16(b))
		}
		row.Name = out.Text(s.text)
	}
	parse.Add(out, &out.Records.RDP, row)
}

// protocols names the security protocols of a request or an answer.
func protocols(set uint32) string {
	if set == 0 {
		return "rdp"
	}
	var names []string
	for i, n := range [...]string{"tls", "hybrid", "rdstls", "hybrid_ex", "rdsaad"} {
		if set>>i&1 == 1 {
			names = append(names, n)
		}
	}
	if set>>5 != 0 {
		names = append(names, "other")
	}
	return strings.Join(names, ",")
}
