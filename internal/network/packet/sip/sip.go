// Package sip reads SIP (RFC 3261) from UDP datagrams and TCP streams, one
// record per request with its final answer, or the latest when none came.
// Bodies are passed over; of URIs neither passwords nor headers are kept.
package sip

import (
	"time"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits.
const (
	maxLine     = 4096     // of a line that are looked at; the rest is passed over
	maxHead     = 32 << 10 // of a message's head
	maxBody     = 1 << 20  // of a message in a stream
	maxWaiting  = 4096     // transactions of all UDP flows together
	maxOfStream = 64       // transactions of one TCP connection
	maxMessages = 65536    // of one TCP connection
)

// Datagrams reads the datagrams of all UDP flows.
type Datagrams struct {
	msg   message
	table *table
}

var _ parse.Datagrams = (*Datagrams)(nil)

// NewDatagrams makes a parser for UDP.
func NewDatagrams() *Datagrams { return &Datagrams{table: newTable(maxWaiting)} }

// Datagram implements parse.Datagrams. Line ends alone keep a path open
// (RFC 5626 section 4.4.1).
func (d *Datagrams) Datagram(out *parse.Out, side int, b []byte) error {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n' || b[0] == 0) {
		b = b[1:]
	}
	if len(b) == 0 {
		return nil
	}
	if !LooksLike(side, b) {
		return parse.ErrNot
	}
	d.msg = message{}
	var lines parse.Lines
	for b = b[:min(len(b), maxHead)]; len(b) > 0; {
		line, n, ok := lines.Cut(b, maxLine)
		if n == 0 {
			break
		}
		if b = b[n:]; !ok {
			continue
		}
		last, err := d.msg.line(out, line)
		if err != nil {
			return err
		}
		if last {
			d.table.take(out, side, &d.msg)
			return nil
		}
	}
	return parse.ErrMalformed // the head has no end
}

// Expire puts out the requests that have waited for an answer since before a
// time.
func (d *Datagrams) Expire(out *parse.Out, before time.Time) { d.table.expire(out, before) }

// Flush puts out all requests that wait for an answer.
func (d *Datagrams) Flush(out *parse.Out) { d.table.flush(out) }

// half is one side of a connection.
type half struct {
	lines parse.Lines
	left  uint64
	msg   message
}

// Stream reads one TCP connection.
type Stream struct {
	sides    [2]half
	table    *table
	messages int
	begun    bool
}

var _ parse.Stream = (*Stream)(nil)

// NewStream makes a stream.
func NewStream() parse.Stream { return &Stream{table: newTable(maxOfStream)} }

// Reset implements parse.Stream.
func (s *Stream) Reset() {
	s.table.reset()
	*s = Stream{table: s.table}
}

// End implements parse.Stream: requests without a final answer are put out.
func (s *Stream) End(out *parse.Out) {
	s.table.flush(out)
	s.table.reset()
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

// step takes a body or a line.
func (s *Stream) step(out *parse.Out, side int, b []byte) (int, error) {
	h := &s.sides[side]
	if n := h.left; n > 0 {
		h.left = 0
		return int(n), nil
	}
	line, n, ok := h.lines.Cut(b, maxLine)
	if h.msg.size += n; h.msg.size > maxHead {
		return n, parse.ErrMalformed
	}
	if !ok || !h.msg.begun && len(line) == 0 {
		return n, nil
	}
	last, err := h.msg.line(out, line)
	switch {
	case err != nil && !s.begun:
		return n, parse.ErrNot
	case err != nil:
		return n, err
	}
	if s.begun = true; !last {
		return n, nil
	}
	// In a stream the length is needed (RFC 3261 section 18.3).
	if s.messages++; s.messages > maxMessages {
		return n, parse.ErrDone
	}
	if !h.msg.counted || h.msg.length > maxBody {
		return n, parse.ErrMalformed
	}
	s.table.take(out, side, &h.msg)
	h.left, h.msg = h.msg.length, message{}
	return n, nil
}
