package mail

import "github.com/rind-project/rind/internal/network/packet/parse"

// POP3 reads one POP3 session until the client is logged in, or STLS.
type POP3 struct {
	session
	waits pop3Command
	lists bool // the server's answer goes on until a full stop
	asked bool // for a list, so that lines of one may come when others are expected
}

type pop3Command uint8

const (
	pop3Other pop3Command = iota
	pop3STLS
	pop3List  // CAPA, or AUTH alone
	pop3Login // PASS, APOP, AUTH
)

var _ parse.Stream = (*POP3)(nil)

// NewPOP3 makes a stream.
func NewPOP3() parse.Stream { return &POP3{} }

// LooksLikePOP3 reports whether what a side sends first is POP3's. USER alone
// is not: FTP has it too.
func LooksLikePOP3(side int, b []byte) bool {
	if side == parse.Server {
		return len(b) > 4 && string(b[:4]) == "+OK " && b[4] > ' '
	}
	verb, _ := parse.Word(trimCR(firstLine(b)))
	return parse.Is(verb, "CAPA") || parse.Is(verb, "APOP") || parse.Is(verb, "STLS")
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// Reset implements parse.Stream.
func (s *POP3) Reset() { *s = POP3{} }

// End implements parse.Stream.
func (s *POP3) End(out *parse.Out) { s.end(out) }

// Next implements parse.Stream.
func (s *POP3) Next(out *parse.Out, side int, b []byte) (int, error) {
	return s.all(out, side, b, "pop3", s)
}

// reply reads a line of the server (RFC 1939 section 3).
func (s *POP3) reply(out *parse.Out, line []byte) error {
	if s.lists {
		s.lists = string(line) != "."
		return nil
	}
	status, text := parse.Word(line)
	good := string(status) == "+OK"
	switch {
	case !s.begun:
		if !good && string(status) != "-ERR" {
			return parse.ErrNot
		}
		s.begun, s.row.Banner = true, out.Text(text)
		return nil
	case s.auth.on && string(status) == "+":
		return nil
	case !good && string(status) != "-ERR" && s.asked:
		return nil
	case !good && string(status) != "-ERR":
		return parse.ErrMalformed
	}
	waits := s.waits
	s.waits, s.auth.on = pop3Other, false
	if !good {
		return nil
	}
	switch waits {
	case pop3STLS:
		s.row.StartTLS = true
		return parse.ErrTLS
	case pop3List:
		s.lists = true
	case pop3Login:
		return parse.ErrDone
	case pop3Other:
	}
	return nil
}

// command reads a line of the client.
func (s *POP3) command(out *parse.Out, line []byte) error {
	if s.auth.on {
		s.auth.message(out, line, &s.row.User)
		return nil
	}
	verb, args := parse.Word(line)
	s.waits = pop3Other
	switch {
	case !s.begun && !LooksLikePOP3(parse.Client, line):
		return parse.ErrNot
	case parse.Is(verb, "USER"):
		s.row.User = out.Text(parse.Trim(args))
	case parse.Is(verb, "PASS"):
		s.waits = pop3Login
	case parse.Is(verb, "APOP"):
		name, _ := parse.Word(args)
		s.row.User, s.waits = out.Text(name), pop3Login
	case parse.Is(verb, "AUTH") && len(args) > 0:
		s.waits = pop3Login
		s.auth.begin(out, args, &s.row.User)
	case parse.Is(verb, "AUTH"), parse.Is(verb, "CAPA"):
		s.waits, s.asked = pop3List, true
	case parse.Is(verb, "STLS"):
		s.waits = pop3STLS
	}
	s.begun = true
	return nil
}
