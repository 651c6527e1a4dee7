package http

import (
	"bytes"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// version reads HTTP/1.0 or HTTP/1.1.
func version(b []byte) (string, bool) {
	switch string(b) {
	case "HTTP/1.0":
		return "1.0", true
	case "HTTP/1.1":
		return "1.1", true
	}
	return "", false
}

// token reports whether b is a method's name: letters, digits and the dash, of
// what RFC 9110 section 5.6.2 lets through.
func token(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 32
}

// request reads a request line (RFC 9112 section 3). The target of a long line
// was cut off with the version: it is taken as 1.1.
func (s *Stream) request(out *parse.Out, line []byte) error {
	method, rest := parse.Word(line)
	target, proto := rest, []byte("HTTP/1.1")
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
		target, proto = rest[:i], rest[i+1:]
	} else if len(line) < maxLine {
		return parse.ErrMalformed
	}
	v, ok := version(proto)
	if !ok || !token(method) || len(target) == 0 || bytes.IndexByte(target, ' ') >= 0 {
		return parse.ErrMalformed
	}
	if s.requests++; s.requests > maxRequests || len(s.queue) >= maxWaiting {
		return parse.ErrDone
	}
	var buf [2 * parse.MaxText]byte
	w := waiting{at: out.Time, head: string(method) == "HEAD", connect: string(method) == "CONNECT"}
	w.row = network.HTTP{Session: out.Session, Version: v, Method: out.Text(method), Path: out.Text(path(buf[:0], target))}
	s.queue = append(s.queue, w)
	return nil
}

// path is a request target without its query, and without the user
// information of an absolute one.
func path(dst, target []byte) []byte {
	if target[0] == '/' || target[0] == '*' {
		if i := bytes.IndexByte(target, '?'); i >= 0 {
			target = target[:i]
		}
		return target
	}
	return parse.NoPassword(dst, target, true)
}

// status reads a status line (RFC 9112 section 4).
func (s *Stream) status(out *parse.Out, line []byte) error {
	proto, rest := parse.Word(line)
	v, ok := version(proto)
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' {
		return parse.ErrMalformed
	}
	code, ok := parse.Number(rest[:3])
	if !ok || code < 100 || code > 599 {
		return parse.ErrMalformed
	}
	s.answer = network.HTTP{Session: out.Session, Version: v, Status: uint16(code)}
	return nil
}

// header reads a header line. Later lines of a folded one are left out.
func (s *Stream) header(out *parse.Out, side int, h *half, line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return nil
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return parse.ErrMalformed
	}
	name, value := line[:i], parse.Trim(line[i+1:])
	switch {
	case parse.Is(name, "CONTENT-LENGTH"):
		return h.contentLength(value)
	case parse.Is(name, "TRANSFER-ENCODING"):
		last := parse.Trim(value[bytes.LastIndexByte(value, ',')+1:])
		h.chunked = parse.Is(last, "CHUNKED")
		h.coded = !h.chunked
	case parse.Is(name, "UPGRADE"):
		h.upgrade = parse.Is(value, "H2C")
	case side == parse.Server:
		s.answerHeader(out, name, value)
	default:
		s.requestHeader(out, name, value)
	}
	return nil
}

// contentLength reads RFC 9110 section 8.6; equal repetitions are one.
func (h *half) contentLength(value []byte) error {
	for {
		first, rest, more := bytes.Cut(value, []byte(","))
		n, ok := parse.Number(parse.Trim(first))
		if !ok || h.counted && n != h.length {
			return parse.ErrMalformed
		}
		if h.counted, h.length = true, n; !more {
			return nil
		}
		value = rest
	}
}

func (s *Stream) requestHeader(out *parse.Out, name, value []byte) {
	last := len(s.queue) - 1
	if last < 0 || s.queue[last].whole {
		return // it was answered before it was said
	}
	row := &s.queue[last].row
	switch {
	case parse.Is(name, "HOST") && row.Host == "":
		row.Host = out.Lower(value)
	case parse.Is(name, "USER-AGENT") && row.Agent == "":
		row.Agent = out.Text(value)
	}
}

func (s *Stream) answerHeader(out *parse.Out, name, value []byte) {
	switch {
	case parse.Is(name, "CONTENT-TYPE") && s.answer.ContentType == "":
		s.answer.ContentType = out.Lower(value)
	case parse.Is(name, "SERVER") && s.answer.Software == "":
		s.answer.Software = out.Text(value)
	}
}

// framed turns to the body whose length the head told (RFC 9112 section 6.3).
func (h *half) framed() {
	switch {
	case h.chunked:
		h.size, h.state = 0, chunkSize
	case h.counted && h.length > 0:
		h.left, h.state = h.length, body
	default:
		h.next()
	}
}

// requestEnd is the empty line after a request's headers.
func (s *Stream) requestEnd(h *half) error {
	if h.coded {
		return parse.ErrMalformed // its end cannot be known
	}
	if len(s.queue) > 0 {
		s.queue[len(s.queue)-1].whole = true
	}
	h.framed()
	return nil
}

// answerEnd is the empty line after an answer's headers: the request at the
// head of the queue has its answer.
func (s *Stream) answerEnd(out *parse.Out, h *half) error {
	a := &s.answer
	if a.Status < 200 && a.Status != 101 {
		h.next()
		return nil
	}
	var w waiting
	if len(s.queue) > 0 {
		w = s.queue[0]
		w.row.Latency = max(0, a.Time.Sub(w.at))
		s.queue = append(s.queue[:0], s.queue[1:]...)
	} else {
		w.row = network.HTTP{Session: a.Session, Version: a.Version}
	}
	w.row.Status, w.row.ContentType, w.row.Software = a.Status, a.ContentType, a.Software
	if h.counted {
		w.row.Length = h.length
	}
	parse.Add(out, &out.Records.HTTP, w.row)
	switch {
	case a.Status == 101 && h.upgrade:
		parse.Add(out, &out.Records.HTTP, network.HTTP{Session: a.Session, Version: "2", Host: w.row.Host})
		return parse.ErrHTTP2
	case a.Status == 101:
		return parse.ErrDone
	case w.connect && a.Status < 300:
		return parse.ErrAgain
	case w.head || a.Status == 204 || a.Status == 304:
		h.next()
		return nil
	case h.coded || !h.chunked && !h.counted:
		return parse.ErrDone // the body lasts until the end
	}
	h.framed()
	return nil
}
