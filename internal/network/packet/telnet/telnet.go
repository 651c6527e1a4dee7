// Package telnet reads the beginning of Telnet sessions (RFC 854): the options
// that are negotiated, the terminal's type (RFC 1091) and the first text of the
// server. What a person types ends it: it could be a password.
package telnet

import (
	"strconv"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of one session.
const (
	maxBytes  = 16 << 10 // of both sides, before the parser is done
	maxBanner = 200
	maxType   = 64
)

// Commands (RFC 854) and options.
const (
	se, sb               = 240, 250
	will, wont, do, dont = 251, 252, 253, 254
	iac                  = 255
	terminalType         = 24
	compress1, compress2 = 85, 86 // what follows them is not Telnet any more
)

// LooksLike reports whether what a side sends first is an option's
// negotiation. Telnet without options cannot be told from any other text.
func LooksLike(_ int, b []byte) bool {
	if len(b) < 3 || b[0] != iac || b[1] < will || b[1] > dont || b[2] > 138 && b[2] != 255 {
		return false
	}
	return len(b) == 3 || b[3] == iac || b[3] < 0x7f
}

type state uint8

const (
	text   state = iota
	escape       // after IAC
	option       // after WILL, WONT, DO or DONT
	suboption
	inside
	insideEscape
)

// half is one side.
type half struct {
	state   state
	command byte
	sub     byte // option of the subnegotiation in hand
	at      int  // bytes of it
	will    [4]uint64
	do      [4]uint64
}

// Stream reads one session.
type Stream struct {
	row    network.Telnet
	sides  [2]half
	begun  bool
	bytes  int
	banner [maxBanner]byte
	size   int
	typ    [maxType]byte
	typLen int
}

var _ parse.Stream = (*Stream)(nil)

// New makes a stream.
func New() parse.Stream { return &Stream{} }

// Reset implements parse.Stream.
func (s *Stream) Reset() { *s = Stream{} }

// Next implements parse.Stream.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (int, error) {
	if !s.begun {
		if b[0] != iac {
			return 0, parse.ErrNot
		}
		s.begun, s.row.Session = true, out.Session
	}
	for i, c := range b {
		if s.bytes++; s.bytes > maxBytes {
			return i, parse.ErrDone
		}
		if err := s.octet(side, c); err != nil {
			return i + 1, err
		}
	}
	return len(b), nil
}

// octet takes one byte of a side.
func (s *Stream) octet(side int, c byte) error {
	h := &s.sides[side]
	switch h.state {
	case text:
		if c == iac {
			h.state = escape
			return nil
		}
		return s.data(side, c)
	case escape:
		h.state = text
		switch {
		case c == iac:
			return s.data(side, c)
		case c == sb:
			h.state = suboption
		case c >= will && c <= dont:
			h.state, h.command = option, c
		case c < se-4: // 236 to 239 are RFC 885's and RFC 1184's
			return parse.ErrMalformed
		}
	case option:
		h.state = text
		switch h.command {
		case will:
			h.will[c>>6] |= 1 << (c & 63)
		case do:
			h.do[c>>6] |= 1 << (c & 63)
		}
	case suboption:
		h.state, h.sub, h.at = inside, c, 0
		if c == terminalType {
			s.typLen = 0
		}
	case inside:
		if c == iac {
			h.state = insideEscape
			return nil
		}
		s.sub(side, h, c)
	case insideEscape:
		if c == iac {
			h.state = inside
			s.sub(side, h, c)
			return nil
		}
		h.state = text
		if h.sub == compress1 || h.sub == compress2 {
			return parse.ErrDone
		}
	}
	return nil
}

// data takes one byte of data: the server's is shown, the client's ends it.
func (s *Stream) data(side int, c byte) error {
	if side == parse.Server {
		s.show(c)
	} else if c != 0 {
		return parse.ErrDone
	}
	return nil
}

// sub takes one byte of a subnegotiation: of the client's terminal type, IS
// (0) and the name.
func (s *Stream) sub(side int, h *half, c byte) {
	if h.sub == terminalType && side == parse.Client {
		if h.at > 0 && s.typLen < maxType {
			s.typ[s.typLen] = c
			s.typLen++
		}
		h.at++
	}
}

// show adds to the server's first text; runs of blanks and line ends become
// one space.
func (s *Stream) show(c byte) {
	blank := c == ' ' || c == '\r' || c == '\n' || c == 0 || c == '\t'
	if blank && (s.size == 0 || s.banner[s.size-1] == ' ') || s.size == maxBanner {
		return
	}
	if blank {
		c = ' '
	}
	s.banner[s.size] = c
	s.size++
}

// End implements parse.Stream: the session is put out.
func (s *Stream) End(out *parse.Out) {
	if !s.begun {
		return
	}
	s.begun = false
	s.row.Banner = out.Text(parse.Trim(s.banner[:s.size]))
	s.row.Terminal = out.Lower(s.typ[:s.typLen])
	s.row.Options = out.Text(s.options())
	parse.Add(out, &out.Records.Telnet, s.row)
}

// options lists the options for which one side said WILL and the other DO.
func (s *Stream) options() []byte {
	var room [1024]byte
	list := room[:0]
	for o := range 256 {
		word, bit := o>>6, uint64(1)<<(o&63)
		c, v := &s.sides[parse.Client], &s.sides[parse.Server]
		if (c.will[word]&v.do[word]|v.will[word]&c.do[word])&bit == 0 {
			continue
		}
		if len(list) > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, int64(o), 10)
	}
	return list
}
