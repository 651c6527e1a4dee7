package dns

import "encoding/binary"

var be = binary.BigEndian

// Message is the header and first question of a message. It is meant to be
// reused; it points into the bytes it was parsed from.
type Message struct {
	ID        uint16
	Response  bool
	Truncated bool
	Opcode    uint8
	RCode     uint8

	Authoritative      bool // AA; of LLMNR the conflict bit
	RecursionDesired   bool // RD; of LLMNR the tentative bit
	RecursionAvailable bool
	Authenticated      bool // AD

	Questions int
	Type      uint16 // of the first question
	Class     uint16
	Name      Name

	body    []byte
	at      int // where the answers begin; 0 is none
	answers int
	text    [4*maxName + maxShort]byte // of the answer in hand
	behind  int                        // records of the two sections behind the answers
}

// Parse reads header and first question. What stands behind is read by
// Answers, so that a message that was cut still shows its question.
func (m *Message) Parse(b []byte) error {
	if len(b) < headerLen {
		return ErrShort
	}
	m.ID, m.Response, m.Truncated = be.Uint16(b), b[2]&0x80 != 0, b[2]&2 != 0
	m.Opcode, m.RCode = b[2]>>3&15, b[3]&15
	m.Authoritative, m.RecursionDesired = b[2]&4 != 0, b[2]&1 != 0
	m.RecursionAvailable, m.Authenticated = b[3]&0x80 != 0, b[3]&0x20 != 0
	m.Questions, m.answers = int(be.Uint16(b[4:])), int(be.Uint16(b[6:]))
	m.behind = int(be.Uint16(b[8:])) + int(be.Uint16(b[10:]))
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
