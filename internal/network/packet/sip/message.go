package sip

import (
	"bytes"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

// message is what is read of one message.
type message struct {
	method, uri    string
	status         uint16 // of an answer
	from, to       string
	callID, agent  string
	cseq           uint64
	length         uint64
	counted, begun bool
	size           int // of the head so far
}

var methods = [...]string{"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"}

// known is the method when it is one of those in use.
func known(method []byte) string {
	for _, m := range methods {
		if string(method) == m {
			return m
		}
	}
	return ""
}

// LooksLike reports whether what a side sends begins a SIP message.
func LooksLike(_ int, b []byte) bool {
	if bytes.HasPrefix(b, []byte("SIP/2.0 ")) {
		return true
	}
	method, rest := parse.Word(b[:min(len(b), 64)])
	return known(method) != "" && (parse.Begins(rest, "SIP:") || parse.Begins(rest, "SIPS:") || parse.Begins(rest, "TEL:"))
}

// line takes a line of the head; last is true behind it.
func (m *message) line(out *parse.Out, line []byte) (last bool, err error) {
	switch {
	case !m.begun:
		*m = message{begun: true, size: m.size}
		if !m.start(out, line) {
			return false, parse.ErrMalformed
		}
	case len(line) == 0:
		if m.callID == "" || m.method == "" {
			return true, parse.ErrMalformed // RFC 3261 section 8.1.1
		}
		return true, nil
	case line[0] == ' ' || line[0] == '\t':
	default:
		return false, m.header(out, line)
	}
	return false, nil
}

// start reads a request line or status line (RFC 3261 section 7).
func (m *message) start(out *parse.Out, line []byte) bool {
	first, rest := parse.Word(line)
	if string(first) == "SIP/2.0" {
		code, ok := parse.Number(rest[:min(len(rest), 3)])
		m.status = uint16(code)
		return ok && code >= 100 && code <= 699 && (len(rest) == 3 || rest[3] == ' ')
	}
	uri, version := parse.Word(rest)
	if len(first) == 0 || len(first) > 32 || len(uri) == 0 || string(version) != "SIP/2.0" {
		return false
	}
	if m.method = known(first); m.method == "" {
		m.method = out.Text(first)
	}
	var room [2 * parse.MaxText]byte
	m.uri = out.Text(parse.NoPassword(room[:0], uri, false))
	return true
}

// header reads a header line, also of the compact form (RFC 3261 section
// 7.3.3).
func (m *message) header(out *parse.Out, line []byte) error {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return parse.ErrMalformed
	}
	name, value := parse.Trim(line[:i]), parse.Trim(line[i+1:])
	var ok bool
	switch {
	case parse.Is(name, "FROM"), parse.Is(name, "F"):
		m.from = uri(out, value)
	case parse.Is(name, "TO"), parse.Is(name, "T"):
		m.to = uri(out, value)
	case parse.Is(name, "CALL-ID"), parse.Is(name, "I"):
		m.callID = out.Text(value)
	case parse.Is(name, "USER-AGENT"), parse.Is(name, "SERVER"):
		m.agent = out.Text(value)
	case parse.Is(name, "CSEQ"):
		number, method := parse.Word(value)
		if m.cseq, ok = parse.Number(number); !ok || len(method) == 0 {
			return parse.ErrMalformed
		}
		if m.status != 0 {
			if m.method = known(method); m.method == "" {
				m.method = out.Text(method)
			}
		}
	case parse.Is(name, "CONTENT-LENGTH"), parse.Is(name, "L"):
		if m.length, ok = parse.Number(value); !ok {
			return parse.ErrMalformed
		}
		m.counted = true
	}
	return nil
}

// uri is the URI of From or To, without the name before and the parameters
// behind it (RFC 3261 section 20.20), and without a password.
func uri(out *parse.Out, value []byte) string {
	if len(value) > 0 && value[0] == '"' { // a quoted name may hold anything
		for i := 1; i < len(value); i++ {
			if value[i] == '\\' {
				i++
			} else if value[i] == '"' {
				value = value[i+1:]
				break
			}
		}
	}
	if i := bytes.IndexByte(value, '<'); i >= 0 {
		value = value[i+1:]
		if i = bytes.IndexByte(value, '>'); i >= 0 {
			value = value[:i]
		}
	} else if i = bytes.IndexByte(value, ';'); i >= 0 {
		value = value[:i]
	}
	var room [2 * parse.MaxText]byte
	return out.Text(parse.NoPassword(room[:0], parse.Trim(value), false))
}
