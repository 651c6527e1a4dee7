// Package socks reads the beginning of a connection through a SOCKS proxy,
// versions 4 and 4a (the SOCKS 4 protocol and its 4A extension, Y. Lee) and 5
// (RFC 1928, RFC 1929): where to the client wants, and the proxy's answer. What
// follows a granted CONNECT is another protocol.
package socks

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// maxName is how long a version 4 user or host may be, with its NUL.
const maxName = 512

const (
	version4 = 4
	version5 = 5
	granted4 = 90
)

// Methods and versions of RFC 1928 section 3 and RFC 1929.
const (
	noMethod      = 0xff
	byPassword    = 2
	passwordRound = 1
)

var commands = [...]string{1: "connect", 2: "bind", 3: "udp"}

// LooksLike reports whether what a client sends first is a SOCKS greeting or
// request. A server never speaks first.
func LooksLike(side int, b []byte) bool {
	if side != parse.Client || len(b) < 3 {
		return false
	}
	switch b[0] {
	case version5:
		n := int(b[1])
		if n == 0 || n > 16 || len(b) < 2+n {
			return false
		}
		for _, m := range b[2 : 2+n] {
			if m > 9 && m < 0x80 {
				return false
			}
		}
		return len(b) == 2+n || b[2+n] == version5 || b[2+n] == passwordRound
	case version4:
		return len(b) >= 9 && (b[1] == 1 || b[1] == 2) && b[len(b)-1] == 0 && (b[2] != 0 || b[3] != 0) &&
			len(b) <= 8+maxName && clean(b[8:])
	}
	return false
}

// clean reports whether b is printable text and NULs.
func clean(b []byte) bool {
	for _, c := range b {
		if c != 0 && (c <= ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}

// Stream reads one connection.
type Stream struct {
	row     network.SOCKS
	greeted bool // version 5: the client's methods have come
	method  bool // version 5: the server's choice has come
	auth    bool // version 5: the server owes an answer to a password
	asked   bool
}

var _ parse.Stream = (*Stream)(nil)

// New makes a stream.
func New() parse.Stream { return &Stream{} }

// Reset implements parse.Stream.
func (s *Stream) Reset() { *s = Stream{} }

// End implements parse.Stream: a request without an answer is put out.
func (s *Stream) End(out *parse.Out) {
	if s.asked {
		parse.Add(out, &out.Records.SOCKS, s.row)
	}
	s.asked = false
}

// Next implements parse.Stream.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (n int, err error) {
	for n < len(b) {
		var took int
		switch {
		case side == parse.Server && s.row.Version == version4:
			took, err = s.reply4(b[n:])
		case side == parse.Server:
			took, err = s.server5(b[n:])
		case s.asked:
			if len(b)-n >= parse.MaxBuffer {
				return n, parse.ErrDone
			}
			return n, nil // data before the answer is the inner protocol's
		case s.row.Version == version5:
			took, err = s.client5(out, b[n:])
		case b[n] == version5:
			took, err = s.greeting(out, b[n:])
		case b[n] == version4:
			took, err = s.request4(out, b[n:])
		default:
			err = parse.ErrNot
		}
		n += took
		if err != nil || took == 0 {
			return n, err
		}
	}
	return n, nil
}

// request4 is a version 4 request: command, port, address, user, and of 4a
// (an address 0.0.0.x) a host.
func (s *Stream) request4(out *parse.Out, b []byte) (int, error) {
	if len(b) < 9 {
		return 0, nil
	}
	if b[1] != 1 && b[1] != 2 {
		return 0, parse.ErrNot
	}
	user, n, err := name(b, 8)
	if err != nil || n == 0 {
		return 0, err
	}
	var host []byte
	named := b[4] == 0 && b[5] == 0 && b[6] == 0 && b[7] != 0
	if named {
		if host, n, err = name(b, n); err != nil || n == 0 {
			return 0, err
		}
	}
	s.row = network.SOCKS{Session: out.Session, Version: version4, Command: commands[b[1]], Port: binary.BigEndian.Uint16(b[2:]), User: out.Text(user)}
	if named {
		s.row.Host = out.Lower(host)
	} else {
		s.row.Addr = netip.AddrFrom4([4]byte(b[4:8]))
	}
	s.asked = true
	return n, nil
}

// name is text up to a NUL, of which n is behind; 0 asks for more.
func name(b []byte, from int) (text []byte, n int, err error) {
	rest := b[from:]
	end := bytes.IndexByte(rest[:min(len(rest), maxName)], 0)
	switch {
	case end >= 0 && clean(rest[:end]):
		return rest[:end], from + end + 1, nil
	case end >= 0 || len(rest) >= maxName:
		return nil, 0, parse.ErrNot
	}
	return nil, 0, nil
}

func (s *Stream) reply4(b []byte) (int, error) {
	if b[0] != 0 || !s.asked {
		return 0, parse.ErrMalformed
	}
	if len(b) < 8 {
		return 0, nil
	}
	s.row.Answered, s.row.Reply = true, b[1]
	return 8, s.after(b[1] == granted4)
}

// after says what follows the proxy's answer.
func (s *Stream) after(granted bool) error {
	if granted && s.row.Command == "connect" {
		return parse.ErrAgain
	}
	return parse.ErrDone
}

// greeting is the client's list of methods (RFC 1928 section 3).
func (s *Stream) greeting(out *parse.Out, b []byte) (int, error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return 0, nil
	}
	if b[1] == 0 {
		return 0, parse.ErrNot
	}
	s.row = network.SOCKS{Session: out.Session, Version: version5}
	s.greeted = true
	return 2 + int(b[1]), nil
}

// client5 is a user with a password, of which the user is kept, or the request.
func (s *Stream) client5(out *parse.Out, b []byte) (int, error) {
	switch b[0] {
	case passwordRound:
		if len(b) < 2 || len(b) < 3+int(b[1]) {
			return 0, nil
		}
		user := 2 + int(b[1])
		size := user + 1 + int(b[user])
		if len(b) < size {
			return 0, nil
		}
		s.row.User, s.auth = out.Text(b[2:user]), true
		return size, nil
	case version5:
		return s.request5(out, b)
	}
	return 0, parse.ErrMalformed
}

// address reads ATYP, an address or name, and a port (RFC 1928 section 4),
// from the fourth byte on. n is where it ends; 0 asks for more.
func address(b []byte) (addr netip.Addr, host []byte, port uint16, n int, err error) {
	if len(b) < 5 {
		return
	}
	switch b[3] {
	case 1:
		n = 8
	case 3:
		n = 5 + int(b[4])
	case 4:
		n = 20
	default:
		return addr, nil, 0, 0, parse.ErrMalformed
	}
	if len(b) < n+2 {
		return addr, nil, 0, 0, nil
	}
	switch b[3] {
	case 1:
		addr = netip.AddrFrom4([4]byte(b[4:8]))
	case 3:
		host = b[5:n]
	case 4:
		addr = netip.AddrFrom16([16]byte(b[4:20]))
	}
	return addr, host, binary.BigEndian.Uint16(b[n:]), n + 2, nil
}

func (s *Stream) request5(out *parse.Out, b []byte) (int, error) {
	addr, host, port, n, err := address(b)
	if err != nil || n == 0 {
		return 0, err
	}
	if b[1] == 0 || int(b[1]) >= len(commands) || b[2] != 0 {
		return 0, parse.ErrMalformed
	}
	s.row.Command, s.row.Addr, s.row.Host, s.row.Port = commands[b[1]], addr, out.Lower(host), port
	s.asked = true
	return n, nil
}

// server5 is the choice of a method, the answer to a password, or the answer
// to the request.
func (s *Stream) server5(b []byte) (int, error) {
	switch {
	case !s.greeted:
		return 0, parse.ErrNot
	case len(b) < 2:
		return 0, nil
	case !s.method:
		if b[0] != version5 {
			return 0, parse.ErrMalformed
		}
		s.method = true
		if b[1] == noMethod || b[1] != 0 && b[1] != byPassword {
			return 2, parse.ErrDone // refused, or a method that hides the rest
		}
		return 2, nil
	case s.auth && b[0] == passwordRound:
		s.auth = false
		if b[1] != 0 {
			return 2, parse.ErrDone
		}
		return 2, nil
	case !s.asked || b[0] != version5:
		return 0, parse.ErrMalformed
	}
	_, _, _, n, err := address(b)
	if err != nil || n == 0 {
		return 0, err
	}
	s.row.Answered, s.row.Reply = true, b[1]
	return n, s.after(b[1] == 0)
}
