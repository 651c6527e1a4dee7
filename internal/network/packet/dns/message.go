package dns

import (
	"encoding/binary"
	"net/netip"
)

var be = binary.BigEndian

// The record types whose data the answers show.
const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typePTR   = 12
	typeMX    = 15
	typeAAAA  = 28
	typeSRV   = 33
	typeDNAME = 39
	typeSVCB  = 64
	typeHTTPS = 65
)

// Message is the header and first question of a message. It is meant to be
// reused; it points into the bytes it was parsed from.
type Message struct {
	ID        uint16
	Response  bool
	Truncated bool
	Opcode    uint8
	RCode     uint8
	Questions int
	Type      uint16 // of the first question
	Class     uint16
	Name      Name

	body    []byte
	at      int // where the answers begin; 0 is none
	answers int
}

// Parse reads header and first question. What stands behind is read by
// Answers, so that a message that was cut still shows its question.
func (m *Message) Parse(b []byte) error {
	if len(b) < headerLen {
		return ErrShort
	}
	m.ID, m.Response, m.Truncated = be.Uint16(b), b[2]&0x80 != 0, b[2]&2 != 0
	m.Opcode, m.RCode = b[2]>>3&15, b[3]&15
	m.Questions, m.answers = int(be.Uint16(b[4:])), int(be.Uint16(b[6:]))
	m.body, m.at, m.Type, m.Class, m.Name.n = b, 0, 0, 0, 0
	if m.Questions == 0 {
		if m.Response {
			m.at = headerLen
			return nil
		}
		return ErrNothing
	}
	off, err := m.Name.read(b, headerLen)
	if err != nil {
		return err
	}
	if off+4 > len(b) {
		return ErrShort
	}
	m.Type, m.Class = be.Uint16(b[off:]), be.Uint16(b[off+2:])
	off += 4
	for i := 1; i < m.Questions && i < maxRecords; i++ {
		if off = skip(b, off); off == 0 || off+4 > len(b) {
			return nil // the first question stands; what is behind it is cut
		}
		off += 4
	}
	if m.Questions <= maxRecords {
		m.at = off
	}
	return nil
}

// Answers calls visit with the text of each address and name in the answer
// section, MaxAnswers at most, in the message's order. The text is only valid
// during the call. It stops at the first record that is not whole.
func (m *Message) Answers(visit func(text []byte)) {
	if m.at == 0 {
		return
	}
	var text [4 * maxName]byte
	var name Name
	off, kept := m.at, 0
	for i := 0; i < m.answers && i < maxRecords && kept < MaxAnswers; i++ {
		if off = skip(m.body, off); off == 0 || off+10 > len(m.body) {
			return
		}
		typ, size := be.Uint16(m.body[off:]), int(be.Uint16(m.body[off+8:]))
		off += 10
		if off+size > len(m.body) {
			return
		}
		if t := m.data(typ, off, size, &name, text[:0]); len(t) > 0 {
			visit(t)
			kept++
		}
		off += size
	}
}

// data appends the address or name in a record's data.
func (m *Message) data(typ uint16, off, size int, name *Name, dst []byte) []byte {
	data := m.body[off : off+size]
	skip := 0
	switch typ {
	case typeA:
		if size == 4 {
			return netip.AddrFrom4([4]byte(data)).AppendTo(dst)
		}
		return nil
	case typeAAAA:
		if size == 16 {
			return netip.AddrFrom16([16]byte(data)).AppendTo(dst)
		}
		return nil
	case typeNS, typeCNAME, typePTR, typeDNAME:
	case typeMX, typeSVCB, typeHTTPS:
		skip = 2
	case typeSRV:
		skip = 6
	default:
		return nil
	}
	// The name must end inside its record; pointers lead back from there. The
	// root as the target of a service binding is the owner itself (RFC 9460).
	if _, err := name.read(m.body[:off+size], off+skip); err != nil || name.n == 1 {
		return nil
	}
	return name.AppendText(dst)
}
