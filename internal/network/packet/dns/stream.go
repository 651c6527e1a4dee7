package dns

import "github.com/rind-project/rind/internal/network/packet/parse"

// Stream reads the messages of a TCP connection, each behind its length
// (RFC 7766 section 8). One that is longer than what is held is passed over.
type Stream struct {
	parser *Parser
	known  bool // a message was read
	taken  int
}

// maxTaken is how many messages of one connection are read: a zone transfer
// has thousands.
const maxTaken = 4096

// NewStream makes a Stream that puts its messages into the Parser.
func (p *Parser) NewStream() *Stream { return &Stream{parser: p} }

// Reset makes the Stream ready for the next connection.
func (s *Stream) Reset() { s.known, s.taken = false, 0 }

// Next takes a message.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	size := 2 + int(be.Uint16(b))
	if size < 2+headerLen {
		return 0, s.bad()
	}
	if !s.known {
		// A stream that is not DNS is not held for long.
		if len(b) < min(size, 2+headerLen+1) {
			return 0, nil
		}
		if !LooksLike(b[2:min(size, len(b))]) {
			return 0, parse.ErrNot
		}
	}
	if size > parse.MaxBuffer {
		return size, nil
	}
	if len(b) < size {
		return 0, nil
	}
	if err := s.parser.Datagram(out, side, b[2:size]); err != nil {
		return 0, s.bad()
	}
	s.known = true
	if s.taken++; s.taken >= maxTaken {
		return size, parse.ErrDone
	}
	return size, nil
}

func (s *Stream) bad() error {
	if s.known {
		return parse.ErrMalformed
	}
	return parse.ErrNot
}

// End does nothing: questions that wait are the Parser's.
func (s *Stream) End(*parse.Out) {}

// LooksLike reports whether b begins like a message: a known opcode, counts
// that are possible, and a first name that begins with a label.
func LooksLike(b []byte) bool {
	if len(b) < headerLen {
		return false
	}
	opcode, response := b[2]>>3&15, b[2]&0x80 != 0
	questions, answers := be.Uint16(b[4:]), be.Uint16(b[6:])
	if opcode > 9 || questions > maxAsked || !response && questions == 0 && opcode == 0 || b[3]&0x40 != 0 && !response {
		return false
	}
	if questions == 0 {
		return response && answers <= maxRecords
	}
	return len(b) > headerLen && b[headerLen] < 64
}
