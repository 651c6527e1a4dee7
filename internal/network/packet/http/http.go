// Package http reads HTTP/1.0 and HTTP/1.1 (RFC 9112) from TCP streams, one
// record per request with its answer, and knows HTTP/2 in the clear by its
// preface or upgrade (RFC 9113). Bodies are passed over by their framing and
// never looked at; queries, user information and the headers that carry
// credentials or cookies are not kept.
package http

import (
	"bytes"
	"errors"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of one connection.
const (
	maxLine     = 8 << 10  // of a line that are looked at; the rest is passed over
	maxHead     = 64 << 10 // of a message's head or trailer
	maxWaiting  = 32       // requests sent before the first is answered
	maxRequests = 4096     // on one connection
	maxPass     = 1 << 30  // bytes passed over at once
)

// preface is what an HTTP/2 client sends first (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// LooksLike2 reports whether what a side sends first is the preface of an HTTP/2
// client, as far as it is there.
func LooksLike2(side int, b []byte) bool {
	n := min(len(b), len(preface))
	return side == parse.Client && n >= 16 && string(b[:n]) == preface[:n]
}

// LooksLike reports whether what a side sends first begins a message of HTTP/1.
func LooksLike(side int, b []byte) bool {
	if side == parse.Server {
		return len(b) >= 9 && string(b[:7]) == "HTTP/1." && (b[7] == '0' || b[7] == '1') && b[8] == ' '
	}
	if len(b) < 5 {
		return false
	}
	for _, m := range [...]string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PROPFIND "} {
		if b[0] == m[0] && len(b) > len(m) && string(b[:len(m)]) == m {
			c := b[len(m)]
			// A path, a host, or an asterisk; an RTSP or SIP URL is not HTTP's.
			return c == '/' || m[0] == 'C' || bytes.HasPrefix(b[len(m):], []byte("http")) || bytes.HasPrefix(b[len(m):], []byte("* HTTP/"))
		}
	}
	return false
}

// What a side sends next.
type state uint8

const (
	start state = iota
	header
	body
	chunkSize
	chunkData
	trailer
)

// half is one side's message in hand.
type half struct {
	lines   parse.Lines
	state   state
	size    int    // of the head so far
	left    uint64 // of the body or chunk
	length  uint64
	counted bool // a Content-Length was given
	chunked bool
	coded   bool // a Transfer-Encoding whose end is not chunked
	upgrade bool // to h2c
}

// waiting is a request whose answer has not come.
type waiting struct {
	row           network.HTTP
	at            time.Time
	head, connect bool
	whole         bool // its head has ended
}

// Stream reads one connection.
type Stream struct {
	sides    [2]half
	queue    []waiting
	requests int
	answer   network.HTTP // the answer in hand
	begun    bool         // a first line was read
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

// End implements parse.Stream: requests without an answer are put out.
func (s *Stream) End(out *parse.Out) {
	for i := range s.queue {
		parse.Add(out, &out.Records.HTTP, s.queue[i].row)
	}
	s.queue = s.queue[:0]
}

// step takes one line or a part of a body.
func (s *Stream) step(out *parse.Out, side int, b []byte) (int, error) {
	h := &s.sides[side]
	if h.state == body || h.state == chunkData {
		n := min(h.left, maxPass)
		if h.left -= n; h.left == 0 {
			if h.state == body {
				h.next()
			} else {
				h.state = chunkSize
			}
		}
		return int(n), nil
	}
	if side == parse.Client && !s.begun && b[0] == 'P' && len(b) < len(preface) && string(b) == preface[:len(b)] {
		return 0, nil
	}
	if side == parse.Client && !s.begun && bytes.HasPrefix(b, []byte(preface)) {
		parse.Add(out, &out.Records.HTTP, network.HTTP{Session: out.Session, Version: "2"})
		return len(preface), parse.ErrDone
	}
	line, n, ok := h.lines.Cut(b, maxLine)
	if !ok {
		return n, h.count(n)
	}
	if err := h.count(n); err != nil {
		return n, err
	}
	err := s.line(out, side, h, line)
	if errors.Is(err, parse.ErrMalformed) && !s.begun {
		err = parse.ErrNot
	}
	return n, err
}

// count adds to the size of the head.
func (h *half) count(n int) error {
	if h.size += n; h.size > maxHead {
		return parse.ErrMalformed
	}
	return nil
}

// next makes the half ready for another message.
func (h *half) next() { *h = half{lines: h.lines} }

func (s *Stream) line(out *parse.Out, side int, h *half, line []byte) error {
	switch h.state {
	case start:
		if len(line) == 0 {
			return nil // RFC 9112 section 2.2
		}
		h.size, h.state = len(line), header
		var err error
		if side == parse.Client {
			err = s.request(out, line)
		} else {
			err = s.status(out, line)
		}
		if err == nil {
			s.begun = true
		}
		return err
	case header:
		if len(line) > 0 {
			return s.header(out, side, h, line)
		}
		if side == parse.Client {
			return s.requestEnd(h)
		}
		return s.answerEnd(out, h)
	case chunkSize:
		size, ok := chunk(line)
		if !ok {
			return parse.ErrMalformed
		}
		if h.size = 0; size == 0 {
			h.state = trailer
		} else {
			h.left, h.state = size, chunkData
		}
	case trailer:
		if len(line) == 0 {
			h.next()
		}
	}
	return nil
}

// chunk reads the line before a chunk (RFC 9112 section 7.1): its size, with
// the line end behind the data, or 0 for the last.
func chunk(line []byte) (size uint64, ok bool) {
	i := 0
	for ; i < len(line) && i < 16; i++ {
		c := line[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			c = 16
		}
		if c == 16 {
			break
		}
		size = size<<4 | uint64(c)
	}
	rest := parse.Trim(line[i:])
	if i == 0 || size > 1<<62 || len(rest) > 0 && rest[0] != ';' {
		return 0, false
	}
	if size > 0 {
		size += 2
	}
	return size, true
}
