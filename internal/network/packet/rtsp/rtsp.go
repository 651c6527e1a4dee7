// Package rtsp reads RTSP 1.0 and 2.0 (RFC 2326, RFC 7826) from TCP streams,
// one record per request with its answer. Bodies and interleaved media are
// passed over; queries and user information of URLs are not kept.
package rtsp

import (
	"bytes"
	"encoding/binary"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of one connection.
const (
	maxLine     = 4096     // of a line that are looked at; the rest is passed over
	maxHead     = 32 << 10 // of a message's head
	maxBody     = 1 << 20
	maxWaiting  = 16 // requests without an answer; the oldest goes first
	maxMessages = 4096
	maxMedia    = 1 << 16 // interleaved packets before the parser is done
)

var methods = [...]string{"OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PLAY_NOTIFY", "PAUSE", "TEARDOWN", "ANNOUNCE", "RECORD", "REDIRECT", "GET_PARAMETER", "SET_PARAMETER"}

// LooksLike reports whether what a side sends first begins an RTSP message.
func LooksLike(side int, b []byte) bool {
	if side == parse.Server {
		return bytes.HasPrefix(b, []byte("RTSP/1.0 ")) || bytes.HasPrefix(b, []byte("RTSP/2.0 "))
	}
	method, rest := parse.Word(b[:min(len(b), 64)])
	return known(method) != "" && (parse.Begins(rest, "RTSP:") || parse.Begins(rest, "RTSPS:") || bytes.HasPrefix(rest, []byte("* RTSP/")))
}

func known(method []byte) string {
	for _, m := range methods {
		if string(method) == m {
			return m
		}
	}
	return ""
}

// message is what is read of the message in hand.
type message struct {
	row    network.RTSP
	cseq   uint64
	number bool // there was a CSeq
	answer bool
	length uint64
	size   int // of the head so far
}

// half is one side.
type half struct {
	lines parse.Lines
	head  bool // inside a head
	left  uint64
	msg   message
}

// waiting is a request whose answer has not come.
type waiting struct {
	row  network.RTSP
	cseq uint64
	side int
}

// Stream reads one connection.
type Stream struct {
	sides    [2]half
	queue    []waiting
	messages int
	media    int
	begun    bool
}

var _ parse.Stream = (*Stream)(nil)

// New makes a stream.
func New() parse.Stream { return &Stream{} }

// Reset implements parse.Stream.
func (s *Stream) Reset() {
	queue := s.queue[:0]
	clear(queue[:cap(queue)])
	*s = Stream{queue: queue}
}

// End implements parse.Stream: requests without an answer are put out.
func (s *Stream) End(out *parse.Out) {
	for i := range s.queue {
		parse.Add(out, &out.Records.RTSP, s.queue[i].row)
	}
	s.queue = s.queue[:0]
}

// Next implements parse.Stream.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (n int, err error) {
	for n < len(b) {
		took, err := s.step(out, side, b[n:])
		n += took
		if err != nil || took == 0 {
			return n, err
		}
	}
	return n, nil
}

// step takes a line, a body or a packet of media.
func (s *Stream) step(out *parse.Out, side int, b []byte) (int, error) {
	h := &s.sides[side]
	if n := h.left; n > 0 {
		h.left = 0
		return int(n), nil
	}
	if !h.head && b[0] == '$' && s.begun { // RFC 2326 section 10.12
		if len(b) < 4 {
			return 0, nil
		}
		if s.media++; s.media > maxMedia {
			return 0, parse.ErrDone
		}
		return 4 + int(binary.BigEndian.Uint16(b[2:])), nil
	}
	line, n, ok := h.lines.Cut(b, maxLine)
	if h.msg.size += n; h.msg.size > maxHead {
		return n, parse.ErrMalformed
	}
	if !ok {
		return n, nil
	}
	switch {
	case !h.head && len(line) == 0:
		return n, nil
	case !h.head:
		if !h.msg.start(out, line) {
			if s.begun {
				return n, parse.ErrMalformed
			}
			return n, parse.ErrNot
		}
		h.head, s.begun = true, true
		return n, nil
	case len(line) > 0:
		return n, h.msg.header(out, line)
	}
	return n, s.end(out, side, h)
}

// start reads a request line or status line.
func (m *message) start(out *parse.Out, line []byte) bool {
	*m = message{row: network.RTSP{Session: out.Session}, size: m.size}
	first, rest := parse.Word(line)
	if version(first) {
		code, ok := parse.Number(rest[:min(len(rest), 3)])
		m.answer, m.row.Status = true, uint16(code)
		return ok && code >= 100 && code <= 599 && (len(rest) == 3 || rest[3] == ' ')
	}
	url, proto := parse.Word(rest)
	if len(first) == 0 || len(first) > 32 || len(url) == 0 || !version(proto) {
		return false
	}
	var room [2 * parse.MaxText]byte
	m.row.Method, m.row.URL = out.Text(first), out.Text(parse.NoPassword(room[:0], url, true))
	return true
}

func version(b []byte) bool { return string(b) == "RTSP/1.0" || string(b) == "RTSP/2.0" }

// header reads a header line. Later lines of a folded one are left out.
func (m *message) header(out *parse.Out, line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return nil
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return parse.ErrMalformed
	}
	name, value := line[:i], parse.Trim(line[i+1:])
	var ok bool
	switch {
	case parse.Is(name, "CSEQ"):
		if m.cseq, ok = parse.Number(value); !ok {
			return parse.ErrMalformed
		}
		m.number = true
	case parse.Is(name, "CONTENT-LENGTH"):
		if m.length, ok = parse.Number(value); !ok || m.length > maxBody {
			return parse.ErrMalformed
		}
	case parse.Is(name, "USER-AGENT"):
		m.row.Agent = out.Text(value)
	case parse.Is(name, "SERVER"):
		m.row.Server = out.Text(value)
	}
	return nil
}

// end is the empty line behind the headers: a request waits, an answer meets
// its request. Some servers' answers to what they do not know have no CSeq
// (FFmpeg's): such a one is the oldest request's.
func (s *Stream) end(out *parse.Out, side int, h *half) error {
	m := &h.msg
	h.head, h.left, m.size = false, m.length, 0
	if s.messages++; s.messages > maxMessages {
		return parse.ErrDone
	}
	if !m.answer {
		if len(s.queue) == maxWaiting {
			parse.Add(out, &out.Records.RTSP, s.queue[0].row)
			s.queue = append(s.queue[:0], s.queue[1:]...)
		}
		s.queue = append(s.queue, waiting{m.row, m.cseq, side})
		return nil
	}
	if m.row.Status < 200 {
		return nil
	}
	row := m.row
	for i := range s.queue {
		if w := &s.queue[i]; w.side != side && (w.cseq == m.cseq || !m.number) {
			row = w.row
			row.Status, row.Server = m.row.Status, m.row.Server
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			break
		}
	}
	parse.Add(out, &out.Records.RTSP, row)
	return nil
}
