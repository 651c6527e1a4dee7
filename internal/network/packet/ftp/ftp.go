// Package ftp reads FTP control connections (RFC 959): the greeting, who logs
// in and whether that went well, the files that are asked for, and AUTH TLS
// (RFC 4217). Passwords and accounts are passed over.
package ftp

import (
	"bytes"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of one session.
const (
	maxLine  = 1024 // bytes of a line that are looked at; the rest is passed over
	maxLines = 4096 // of both sides before the parser is done
	maxFiles = 16
)

// onFiles are the commands that are kept with their argument.
var onFiles = [...]string{"RETR", "STOR", "STOU", "APPE", "DELE", "RNFR", "RNTO", "MKD", "RMD", "XMKD", "XRMD"}

// LooksLike reports whether what a side sends first is FTP's and nobody
// else's: SMTP greets with 220 as well, POP3 has USER. Greets is for FTP's own
// port.
func LooksLike(side int, b []byte) bool {
	if side == parse.Server {
		return Greets(side, b) && contains(firstLine(b), "FTP")
	}
	line := firstLine(b)
	verb, args := parse.Word(line)
	switch {
	case parse.Is(verb, "AUTH"):
		return parse.Is(args, "TLS") || parse.Is(args, "SSL")
	case parse.Is(verb, "USER"): // IRC's has more words
		return len(args) > 0 && bytes.IndexByte(args, ' ') < 0 && len(line) < len(b)
	}
	return false
}

// Greets is LooksLike for a port that is FTP's: the greeting need not say its
// name.
func Greets(side int, b []byte) bool {
	if side == parse.Server {
		return len(b) >= 4 && (string(b[:3]) == "220" || string(b[:3]) == "120" || string(b[:3]) == "421") &&
			(b[3] == ' ' || b[3] == '-') && !contains(firstLine(b), "SMTP")
	}
	return LooksLike(side, b)
}

// firstLine is the first line without its end, as far as it is there.
func firstLine(b []byte) []byte {
	b = b[:min(len(b), 512)]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = bytes.TrimSuffix(b[:i], []byte("\r"))
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

// Stream reads one control connection.
type Stream struct {
	row   network.FTP
	sides [2]parse.Lines
	lines int
	begun bool
	multi [3]byte // code of the reply whose last line has not come; 0 is none
	tls   bool    // AUTH TLS waits for its answer
}

var _ parse.Stream = (*Stream)(nil)

// New makes a stream.
func New() parse.Stream { return &Stream{} }

// Reset implements parse.Stream.
func (s *Stream) Reset() { *s = Stream{} }

// End implements parse.Stream: the session is put out.
func (s *Stream) End(out *parse.Out) {
	if s.begun {
		parse.Add(out, &out.Records.FTP, s.row)
	}
	s.begun = false
}

// Next implements parse.Stream.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (n int, err error) {
	for n < len(b) {
		line, took, ok := s.sides[side].Cut(b[n:], maxLine)
		n += took
		if !ok {
			if took == 0 {
				return n, nil
			}
			continue
		}
		if s.lines++; s.lines == 1 {
			s.row.Session = out.Session
		}
		if s.lines > maxLines {
			return n, parse.ErrDone
		}
		if side == parse.Server {
			err = s.reply(out, line)
		} else {
			err = s.command(out, line)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// reply reads a line of the server (RFC 959 section 4.2).
func (s *Stream) reply(out *parse.Out, line []byte) error {
	var code [3]byte
	var mark byte = ' '
	if len(line) >= 3 {
		copy(code[:], line)
	}
	if len(line) > 3 {
		mark = line[3]
	}
	n, ok := parse.Number(code[:])
	ok = ok && len(line) >= 3 && (mark == ' ' || mark == '-')
	if s.multi != [3]byte{} { // anything goes until the code comes again
		if ok && code == s.multi && mark == ' ' {
			s.multi = [3]byte{}
			return s.answer(int(n))
		}
		return nil
	}
	if !ok {
		if s.begun {
			return parse.ErrMalformed
		}
		return parse.ErrNot
	}
	if !s.begun {
		if n != 220 && n != 120 && n != 421 {
			return parse.ErrNot
		}
		s.begun = true
	}
	if n == 220 && s.row.Banner == "" {
		s.row.Banner = out.Text(parse.Trim(line[min(len(line), 4):]))
	}
	if mark == '-' {
		s.multi = code
		return nil
	}
	return s.answer(int(n))
}

// answer is a whole reply.
func (s *Stream) answer(code int) error {
	tls := s.tls
	s.tls = false
	switch {
	case code == 234 && tls:
		s.row.StartTLS = true
		return parse.ErrTLS
	case code == 230 || code == 232:
		s.row.LoggedIn = true
	}
	return nil
}

// command reads a line of the client.
func (s *Stream) command(out *parse.Out, line []byte) error {
	for len(line) > 0 && line[0] >= 0xf0 {
		line = line[1:] // Telnet's interrupt and synch before ABOR
	}
	verb, args := parse.Word(line)
	switch {
	case parse.Is(verb, "USER"):
		s.begun, s.row.User = true, out.Text(args)
	case parse.Is(verb, "AUTH"):
		s.begun, s.tls = true, parse.Is(args, "TLS") || parse.Is(args, "SSL") || parse.Is(args, "TLS-C")
	case !s.begun:
		return parse.ErrNot
	case len(s.row.Files) < maxFiles && len(args) > 0 && fileCommand(verb) != "":
		var room [8 + parse.MaxText]byte
		text := append(append(room[:0], fileCommand(verb)...), ' ')
		s.row.Files = append(s.row.Files, out.Text(append(text, args[:min(len(args), parse.MaxText)]...)))
	}
	return nil
}

func fileCommand(verb []byte) string {
	for _, c := range onFiles {
		if parse.Is(verb, c) {
			return c
		}
	}
	return ""
}
