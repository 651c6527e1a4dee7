package mail

import (
	"bytes"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	maxTag     = 64
	maxLiteral = 1 << 20 // a longer one ends what is of interest
)

// IMAP reads one IMAP session until the client is logged in and turns to a
// mailbox, or STARTTLS.
type IMAP struct {
	session
	tag     [maxTag]byte // of the command that waits for its answer
	tagLen  int
	waits   imapCommand
	left    [2]uint64 // of a literal
	user    bool      // the literal in hand is the user's name
	inside  bool      // the client's next line goes on with a command
	logged  bool
	literal []byte // what has come of the user's name
}

type imapCommand uint8

const (
	imapOther imapCommand = iota
	imapStartTLS
	imapLogin
	imapAuthenticate
)

var _ parse.Stream = (*IMAP)(nil)

// NewIMAP makes a stream.
func NewIMAP() parse.Stream { return &IMAP{literal: make([]byte, 0, maxUser)} }

// LooksLikeIMAP reports whether what a side sends first is IMAP's.
func LooksLikeIMAP(side int, b []byte) bool {
	if side == parse.Server {
		return parse.Begins(b, "* OK ") || parse.Begins(b, "* PREAUTH ") || parse.Begins(b, "* BYE ")
	}
	tag, rest := parse.Word(firstLine(b))
	verb, _ := parse.Word(bytes.TrimRight(rest, "\r"))
	if !isTag(tag) {
		return false
	}
	for _, v := range [...]string{"CAPABILITY", "LOGIN", "STARTTLS", "AUTHENTICATE"} {
		if parse.Is(verb, v) {
			return true
		}
	}
	return false
}

func isTag(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '*' || c == '+' || c == '{' || c == '"' || c == '(' || c == ')' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxTag
}

// Reset implements parse.Stream.
func (s *IMAP) Reset() { *s = IMAP{literal: s.literal[:0]} }

// End implements parse.Stream.
func (s *IMAP) End(out *parse.Out) { s.end(out) }

// Next implements parse.Stream.
func (s *IMAP) Next(out *parse.Out, side int, b []byte) (n int, err error) {
	for n < len(b) {
		if s.left[side] > 0 {
			n += s.take(out, side, b[n:])
			continue
		}
		took, err := s.line(out, side, b[n:], "imap", s)
		n += took
		if err != nil || took == 0 {
			return n, err
		}
	}
	return n, nil
}

// take passes over the bytes of a literal, or keeps them when they are the
// user's name.
func (s *IMAP) take(out *parse.Out, side int, b []byte) int {
	n := int(min(s.left[side], uint64(len(b))))
	if side == parse.Client && s.user {
		s.literal = append(s.literal, b[:min(n, maxUser-len(s.literal))]...)
	}
	s.left[side] -= uint64(n)
	if s.left[side] == 0 && side == parse.Client && s.user {
		s.user, s.row.User = false, out.Text(s.literal)
	}
	return n
}

// literal reads the {n}, {n+} or ~{n} at the end of a line (RFC 9051 section
// 4.3): so many bytes follow it.
func literal(line []byte) (n uint64, ok bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false
	}
	return parse.Number(bytes.TrimSuffix(line[open+1:len(line)-1], []byte("+")))
}

// reply reads a line of the server: the greeting, and the answer to the
// command that waits; the rest is passed over.
func (s *IMAP) reply(out *parse.Out, line []byte) error {
	if n, ok := literal(line); ok && n > maxLiteral {
		return parse.ErrDone
	} else if ok {
		s.left[parse.Server] = n
	}
	first, rest := parse.Word(line)
	if !s.begun {
		state, text := parse.Word(rest)
		if string(first) != "*" || !parse.Is(state, "OK") && !parse.Is(state, "PREAUTH") && !parse.Is(state, "BYE") {
			return parse.ErrNot
		}
		s.begun, s.row.Banner = true, out.Text(text)
		s.logged = parse.Is(state, "PREAUTH")
		return nil
	}
	if s.tagLen == 0 || !bytes.Equal(first, s.tag[:s.tagLen]) {
		return nil
	}
	waits := s.waits
	s.tagLen, s.waits, s.auth.on = 0, imapOther, false
	if status, _ := parse.Word(rest); !parse.Is(status, "OK") {
		s.left[parse.Client], s.inside, s.user = 0, false, false // a literal that was refused
		return nil
	}
	switch waits {
	case imapStartTLS:
		s.row.StartTLS = true
		return parse.ErrTLS
	case imapLogin, imapAuthenticate:
		s.logged = true
	case imapOther:
	}
	return nil
}

// command reads a line of the client.
func (s *IMAP) command(out *parse.Out, line []byte) error {
	n, more := literal(line)
	if n > maxLiteral {
		return parse.ErrDone
	}
	if more && s.begun {
		s.left[parse.Client] = n
	}
	if s.inside {
		s.inside = more
		return nil
	}
	if s.auth.on {
		s.auth.message(out, line, &s.row.User)
		return nil
	}
	tag, rest := parse.Word(line)
	verb, args := parse.Word(rest)
	if !isTag(tag) || len(verb) == 0 {
		return s.wrong()
	}
	if !s.begun {
		if !LooksLikeIMAP(parse.Client, line) {
			return parse.ErrNot
		}
		s.begun = true
		s.left[parse.Client] = n
	}
	s.inside = more
	return s.verb(out, tag, verb, args, more)
}

func (s *IMAP) verb(out *parse.Out, tag, verb, args []byte, more bool) error {
	var waits imapCommand
	switch {
	case parse.Is(verb, "STARTTLS"):
		waits = imapStartTLS
	case parse.Is(verb, "LOGIN"):
		waits = imapLogin
		s.login(out, args, more)
	case parse.Is(verb, "AUTHENTICATE"):
		waits = imapAuthenticate
		s.auth.begin(out, args, &s.row.User)
	case parse.Is(verb, "ID"):
		s.id(out, args)
		return nil
	case parse.Is(verb, "CAPABILITY"), parse.Is(verb, "NOOP"), parse.Is(verb, "ENABLE"), parse.Is(verb, "NAMESPACE"):
		return nil
	default:
		if s.logged {
			return parse.ErrDone
		}
		return nil
	}
	s.waits = waits
	s.tagLen = copy(s.tag[:], tag)
	return nil
}

// login reads the user's name of LOGIN: an atom, a quoted string, or a literal
// that is to come.
func (s *IMAP) login(out *parse.Out, args []byte, more bool) {
	switch {
	case len(args) == 0:
	case args[0] == '"':
		if name, _, ok := quoted(args); ok {
			s.row.User = out.Text(name)
		}
	case args[0] == '{' && more && bytes.IndexByte(args, ' ') < 0:
		s.user, s.literal = s.left[parse.Client] > 0, s.literal[:0]
	case args[0] != '{':
		if name, rest := parse.Word(args); len(rest) > 0 {
			s.row.User = out.Text(name)
		}
	}
}

// quoted cuts a quoted string from the front of b, as it is written.
func quoted(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], parse.Trim(b[i+1:]), true
		}
	}
	return nil, b, false
}

// id reads the name and version of a client's ID (RFC 2971).
func (s *IMAP) id(out *parse.Out, args []byte) {
	args = bytes.TrimPrefix(parse.Trim(args), []byte("("))
	var name, version []byte
	for {
		key, rest, ok := quoted(args)
		if !ok {
			break
		}
		value, rest, ok := quoted(rest)
		if !ok {
			break
		}
		switch {
		case parse.Is(key, "NAME"):
			name = value
		case parse.Is(key, "VERSION"):
			version = value
		}
		args = rest
	}
	if len(name) > 0 {
		var room [2*parse.MaxText + 1]byte
		text := append(room[:0], name[:min(len(name), parse.MaxText)]...)
		if len(version) > 0 {
			text = append(append(text, ' '), version[:min(len(version), parse.MaxText)]...)
		}
		s.row.Hello = out.Text(text)
	}
}
