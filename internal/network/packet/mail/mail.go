// Package mail reads the beginnings of SMTP (RFC 5321), IMAP (RFC 9051) and
// POP3 (RFC 1939) sessions, until a message or the mailbox is turned to, or
// TLS. Of a login only the user's name is kept; what carries the password is
// passed over.
package mail

import (
	"bytes"
	"encoding/base64"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of one session.
const (
	maxLine  = 4096 // bytes of a line that are looked at; the rest is passed over
	maxLines = 1000 // of both sides before the parser is done
	maxUser  = 255
)

// session is what the three protocols share.
type session struct {
	row   network.Mail
	sides [2]parse.Lines
	lines int
	begun bool
	auth  exchange
}

// count counts a line, and takes the session of the first packet.
func (s *session) count(out *parse.Out, service string) error {
	if s.row.Service == "" {
		s.row.Session, s.row.Service = out.Session, service
	}
	if s.lines++; s.lines > maxLines {
		return parse.ErrDone
	}
	return nil
}

// speaker is what a protocol does with the lines of the server and the client.
type speaker interface {
	reply(out *parse.Out, line []byte) error
	command(out *parse.Out, line []byte) error
}

// line hands one line to the protocol. It takes nothing when the line goes on.
func (s *session) line(out *parse.Out, side int, b []byte, service string, to speaker) (took int, err error) {
	line, took, ok := s.sides[side].Cut(b, maxLine)
	if !ok {
		return took, nil
	}
	if err := s.count(out, service); err != nil {
		return took, err
	}
	if side == parse.Server {
		return took, to.reply(out, line)
	}
	return took, to.command(out, line)
}

// all hands lines to the protocol until one goes on.
func (s *session) all(out *parse.Out, side int, b []byte, service string, to speaker) (n int, err error) {
	for n < len(b) {
		took, err := s.line(out, side, b[n:], service, to)
		n += took
		if err != nil || took == 0 {
			return n, err
		}
	}
	return n, nil
}

// wrong is the error for a line that does not belong: before the first good
// one the flow is something else.
func (s *session) wrong() error {
	if s.begun {
		return parse.ErrMalformed
	}
	return parse.ErrNot
}

// end puts the row out.
func (s *session) end(out *parse.Out) {
	if s.begun {
		parse.Add(out, &out.Records.Mail, s.row)
	}
	s.begun = false
}

// exchange follows a SASL exchange (RFC 4422) as far as the user's name: while
// it is on, what the client says are no commands.
type exchange struct {
	on        bool
	mechanism mechanism
	step      int // client's messages so far
}

type mechanism uint8

const (
	other mechanism = iota
	plain           // RFC 4616: authorization id, user, password, NUL between
	login           // user, then password
	cram            // RFC 2195: user, space, digest
	oauth           // RFC 7628, XOAUTH2: user= or a=
)

// begin is the client's AUTH or AUTHENTICATE with its arguments.
func (e *exchange) begin(out *parse.Out, args []byte, user *string) {
	name, initial := parse.Word(args)
	*e = exchange{on: true}
	switch {
	case parse.Is(name, "PLAIN"):
		e.mechanism = plain
	case parse.Is(name, "LOGIN"):
		e.mechanism = login
	case parse.Is(name, "CRAM-MD5"):
		e.mechanism = cram
	case parse.Is(name, "XOAUTH2"), parse.Is(name, "OAUTHBEARER"):
		e.mechanism = oauth
	}
	if len(initial) > 0 {
		e.message(out, initial, user)
	}
}

// message is one message of the client, in base64. The first one names the
// user; nothing of the others is looked at.
func (e *exchange) message(out *parse.Out, line []byte, user *string) {
	if e.step++; e.step > 1 || e.mechanism == other {
		return
	}
	var room [maxLine]byte
	line = bytes.TrimRight(line, " =")
	n, err := base64.RawStdEncoding.Decode(room[:], line[:min(len(line), maxLine)])
	if err != nil {
		return
	}
	if name := e.user(room[:n]); len(name) > 0 && len(name) <= maxUser {
		*user = out.Text(name)
	}
}

// user is the name in a client's first message.
func (e *exchange) user(b []byte) []byte {
	switch e.mechanism {
	case login:
		return b
	case plain:
		_, rest, _ := bytes.Cut(b, []byte{0})
		name, _, ok := bytes.Cut(rest, []byte{0})
		if ok {
			return name
		}
	case cram:
		if i := bytes.LastIndexByte(b, ' '); i > 0 {
			return b[:i]
		}
	case oauth:
		for _, key := range [...]string{"user=", "n,a="} {
			if rest, ok := bytes.CutPrefix(b, []byte(key)); ok {
				if i := bytes.IndexAny(rest, "\x01,"); i >= 0 {
					return rest[:i]
				}
			}
		}
	}
	return nil
}
