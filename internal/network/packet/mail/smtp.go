package mail

import (
	"bytes"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

// SMTP reads one SMTP session up to its first message or STARTTLS.
type SMTP struct {
	session
	tls bool // STARTTLS waits for its answer
}

var _ parse.Stream = (*SMTP)(nil)

// NewSMTP makes a stream.
func NewSMTP() parse.Stream { return &SMTP{} }

// LooksLikeSMTP reports whether what a side sends first is SMTP's and nobody
// else's: FTP greets with 220 as well. GreetsSMTP is for SMTP's own ports.
func LooksLikeSMTP(side int, b []byte) bool {
	if side == parse.Server {
		return GreetsSMTP(side, b) && contains(firstLine(b), "SMTP")
	}
	return parse.Begins(b, "EHLO ") || parse.Begins(b, "HELO ") || parse.Begins(b, "LHLO ")
}

// GreetsSMTP is LooksLikeSMTP for a port that is SMTP's: the greeting need not
// say its name.
func GreetsSMTP(side int, b []byte) bool {
	if side == parse.Server {
		return len(b) >= 4 && (string(b[:3]) == "220" || string(b[:3]) == "554") && (b[3] == ' ' || b[3] == '-') && !contains(firstLine(b), "FTP")
	}
	return LooksLikeSMTP(side, b)
}

func firstLine(b []byte) []byte {
	b = b[:min(len(b), 512)]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return b
}

// contains reports whether b has the word, which is in upper case, in it.
func contains(b []byte, word string) bool {
	for i := 0; i+len(word) <= len(b); i++ {
		if parse.Is(b[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// Reset implements parse.Stream.
func (s *SMTP) Reset() { *s = SMTP{} }

// End implements parse.Stream.
func (s *SMTP) End(out *parse.Out) { s.end(out) }

// Next implements parse.Stream.
func (s *SMTP) Next(out *parse.Out, side int, b []byte) (int, error) {
	return s.all(out, side, b, "smtp", s)
}

// reply reads a line of the server (RFC 5321 section 4.2).
func (s *SMTP) reply(out *parse.Out, line []byte) error {
	code, last, ok := replyCode(line)
	if !ok {
		return s.wrong()
	}
	if !s.begun {
		if code != 220 && code != 554 {
			return parse.ErrNot
		}
		s.begun, s.row.Banner = true, out.Text(parse.Trim(line[min(len(line), 4):]))
		return nil
	}
	if !last {
		return nil
	}
	// Commands may come before the answers to earlier ones (RFC 2920), but no
	// other than STARTTLS is answered with 220, and than DATA with 354.
	switch {
	case code == 220 && s.tls:
		s.row.StartTLS = true
		return parse.ErrTLS
	case code == 354:
		return parse.ErrDone
	case code >= 400:
		s.tls = false
	}
	if code != 334 {
		s.auth.on = false
	}
	return nil
}

// replyCode reads the three digits of a reply, and whether it is the last line
// of it.
func replyCode(line []byte) (code int, last, ok bool) {
	if len(line) < 3 {
		return 0, false, false
	}
	n, ok := parse.Number(line[:3])
	if !ok || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	return int(n), len(line) == 3 || line[3] == ' ', true
}

// command reads a line of the client.
func (s *SMTP) command(out *parse.Out, line []byte) error {
	if s.auth.on {
		s.auth.message(out, line, &s.row.User)
		return nil
	}
	verb, args := parse.Word(line)
	args = parse.Trim(args)
	switch {
	case parse.Is(verb, "EHLO"), parse.Is(verb, "HELO"), parse.Is(verb, "LHLO"):
		s.begun, s.row.Hello = true, out.Text(args)
	case !s.begun:
		return parse.ErrNot
	case parse.Is(verb, "STARTTLS"):
		s.tls = true
	case parse.Is(verb, "AUTH"):
		s.auth.begin(out, args, &s.row.User)
	case parse.Is(verb, "MAIL") && s.row.From == "" && parse.Begins(args, "FROM:"):
		s.row.From = out.Text(address(args[len("FROM:"):]))
	case parse.Is(verb, "RCPT") && s.row.To == "" && parse.Begins(args, "TO:"):
		s.row.To = out.Text(address(args[len("TO:"):]))
	case parse.Is(verb, "BDAT"):
		return parse.ErrDone
	}
	return nil
}

// address is a path of an envelope (RFC 5321 section 4.1.2) without its angle
// brackets, or with them when it is empty: <> is the null sender.
func address(b []byte) []byte {
	b = parse.Trim(b)
	if end := bytes.IndexByte(b, '>'); len(b) > 0 && b[0] == '<' && end > 1 {
		return b[1:end]
	}
	b, _ = parse.Word(b)
	return b
}
