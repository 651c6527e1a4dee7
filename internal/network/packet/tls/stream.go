package tls

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of one connection.
const (
	maxServerHello = 4 << 10            // bytes of a ServerHello
	maxRecord      = 1<<14 + 2048       // of one record (RFC 5246 section 6.2.3)
	maxHandshake   = 256 << 10          // bytes of one side in which the handshake has to end
	keepBuffer     = 4 << 10            // a larger buffer is not kept for the next connection
	leafHead       = handHead + 3 + 3   // before the first certificate of a list
	maxCertificate = leafHead + maxLeaf // bytes of a Certificate message that are kept
)

// The record types (RFC 8446 section 5.1).
const (
	recordChange    = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
	recordHeartbeat = 24
)

// Stream reads the handshake of one connection, and adds one row to
// Out.TLS when its visible part is over.
type Stream struct {
	halves  [2]half // by side
	client  int     // the side that sent the ClientHello
	begun   bool
	session network.Session // of the first bytes

	hello    Hello // points into the client's buffer
	offered  bool  // hello was read
	chosen   bool  // hi was read, and is no HelloRetryRequest
	retried  bool  // a HelloRetryRequest was seen
	full     bool  // the server sent what it does not when it resumes
	resumed  bool
	version  uint16
	cipher   uint16
	protocol []byte
	ja3s     []byte
	leaf     []byte // points into the server's buffer
	alert    uint8
	alerted  bool

	print Printer
	text  []byte
}

var _ parse.Stream = (*Stream)(nil)

// half is one side's place in its records and handshake messages.
type half struct {
	head   [recordHead]byte
	headed int  // bytes of head that are there
	kind   byte // of the record
	left   int  // bytes of the record that are still to come
	seen   int  // bytes of this side in all, with the record in hand
	secret bool // what follows is encrypted

	spoke    bool // a message began
	handHead [handHead]byte
	handed   int // bytes of handHead that are there
	message  int // bytes of the message's body that are still to come
	want     int // bytes of the message that are kept, with its header
	buf      []byte

	alert   [2]byte
	alarmed int
}

// Reset makes the stream ready for the next connection.
func (s *Stream) Reset() {
	next := Stream{print: s.print, text: s.text[:0], protocol: s.protocol[:0], ja3s: s.ja3s[:0]}
	for i := range s.halves {
		if b := s.halves[i].buf; cap(b) <= keepBuffer {
			next.halves[i].buf = b[:0]
		}
	}
	*s = next
}

// Next takes records, or parts of them.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (int, error) {
	if !s.begun {
		s.begun, s.session = true, out.Session
	}
	h := &s.halves[side]
	for at := 0; at < len(b); {
		if h.headed < recordHead {
			n := copy(h.head[h.headed:], b[at:])
			h.headed += n
			at += n
			if h.headed < recordHead {
				break
			}
			if err := h.record(); err != nil {
				return at, err
			}
			if err := s.begin(side); err != nil {
				return at, err
			}
		}
		part := b[at:min(len(b), at+h.left)]
		at += len(part)
		h.left -= len(part)
		if err := s.part(side, part); err != nil {
			return at, err
		}
		if h.left > 0 && h.secret {
			at, h.left = at+h.left, 0
		}
		if h.left == 0 {
			h.headed = 0
		}
		if at > len(b) {
			return at, nil
		}
	}
	return len(b), nil
}

// record reads a record's header.
func (h *half) record() error {
	first := h.seen == 0
	h.kind, h.left = h.head[0], int(be.Uint16(h.head[3:]))
	bad := h.kind < recordChange || h.kind > recordHeartbeat || h.head[1] != 3 || h.left > maxRecord ||
		h.left == 0 && h.kind != recordData
	switch {
	case bad && first, first && h.kind != recordHandshake && h.kind != recordAlert:
		return parse.ErrNot
	case bad:
		return parse.ErrMalformed
	}
	h.alarmed = 0
	if h.seen += recordHead + h.left; h.seen > maxHandshake {
		return parse.ErrDone
	}
	return nil
}

// begin looks at the kind of a record that begins.
func (s *Stream) begin(side int) error {
	h := &s.halves[side]
	if h.kind != recordChange && h.kind != recordData {
		return nil
	}
	switch {
	case s.retried && !s.chosen && h.kind == recordChange:
		// For the sake of middleboxes, between the hellos (RFC 8446 appendix D.4).
		return nil
	case side != s.client:
		if s.chosen && !s.full {
			s.resumed = true
		}
		return parse.ErrDone
	case s.chosen && h.kind == recordData:
		return parse.ErrDone
	}
	h.secret = true // of the client: before the server's answer it is early data
	return nil
}

// part takes a part of a record's content.
func (s *Stream) part(side int, b []byte) error {
	h := &s.halves[side]
	if h.secret {
		return nil
	}
	switch h.kind {
	case recordHandshake:
		return s.handshake(side, b)
	case recordAlert:
		h.alarmed += copy(h.alert[min(h.alarmed, 2):], b)
		if h.left == 0 && h.alarmed == int(be.Uint16(h.head[3:])) {
			return s.alarm(h.alert[0], h.alert[1])
		}
	}
	return nil
}

// alarm keeps the first alert. One that is fatal ends the handshake.
func (s *Stream) alarm(level, code byte) error {
	if code != 0 && !s.alerted {
		s.alert, s.alerted = code, true
	}
	if level == 2 || code == 0 {
		return parse.ErrDone
	}
	return nil
}

// handshake takes a part of the messages, which may span records.
func (s *Stream) handshake(side int, b []byte) error {
	h := &s.halves[side]
	for len(b) > 0 {
		if h.handed < handHead {
			n := copy(h.handHead[h.handed:], b)
			h.handed += n
			b = b[n:]
			if h.handed < handHead {
				return nil
			}
			if err := s.message(side); err != nil {
				return err
			}
		}
		n := min(h.message, len(b))
		h.message -= n
		for part := b[:n]; len(part) > 0 && len(h.buf) < h.want; {
			k := min(h.want-len(h.buf), len(part))
			h.buf = append(h.buf, part[:k]...)
			part = part[k:]
			if h.handHead[0] == typeCertificate && len(h.buf) == leafHead && h.want == leafHead {
				h.want = min(leafHead+length24(h.buf[leafHead-3:]), maxCertificate)
			}
		}
		b = b[n:]
		if h.message > 0 {
			return nil
		}
		h.handed = 0
		if err := s.whole(side); err != nil {
			return err
		}
	}
	return nil
}

func length24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// message decides what of a message that begins is kept.
func (s *Stream) message(side int) error {
	h := &s.halves[side]
	typ, size := h.handHead[0], length24(h.handHead[1:])
	h.message, h.want = size, 0
	if !h.spoke && typ > typeServerHello {
		return parse.ErrNot
	}
	h.spoke = true
	if typ == typeClientHello && !s.offered && !s.chosen && s.halves[1-side].want == 0 {
		s.client = side
	}
	limit := 0
	switch {
	case side == s.client:
		if typ == typeClientHello && !s.offered {
			limit = MaxHello
		}
	case typ == typeServerHello && !s.chosen:
		limit = maxServerHello
	case typ == typeCertificate && s.chosen && s.leaf == nil:
		s.full = true
		h.want = min(leafHead, handHead+size)
		h.buf = append(h.buf[:0], h.handHead[:]...)
		return nil
	case typ == typeServerKeyExchange, typ == typeServerHelloDone:
		s.full = true
	}
	if limit == 0 {
		return nil
	}
	if size > limit {
		return parse.ErrMalformed
	}
	h.want = handHead + size
	h.buf = append(h.buf[:0], h.handHead[:]...)
	return nil
}

// whole reads a message that is complete.
func (s *Stream) whole(side int) error {
	h := &s.halves[side]
	if h.want == 0 {
		return nil
	}
	h.want = 0
	switch h.handHead[0] {
	case typeClientHello:
		if s.hello.Message(h.buf) != nil {
			return parse.ErrMalformed
		}
		s.offered = true
	case typeServerHello:
		return s.server(h.buf[handHead:])
	case typeCertificate:
		if len(h.buf) > leafHead && len(h.buf) == leafHead+length24(h.buf[leafHead-3:]) {
			s.leaf = h.buf[leafHead:]
		}
	}
	return nil
}

// server reads a ServerHello. With TLS 1.3 it is the last that is to be seen.
func (s *Stream) server(b []byte) error {
	var hi serverHello
	if hi.parse(b) != nil {
		return parse.ErrMalformed
	}
	if hi.retry {
		s.retried = true
		return nil
	}
	s.chosen = true
	s.version, s.cipher = hi.version, hi.cipher
	s.protocol = append(s.protocol[:0], hi.alpn...)
	s.ja3s = append(s.ja3s[:0], s.print.serverPrint(&hi)...)
	if modern(hi.version) {
		s.resumed = hi.shared
		return parse.ErrDone
	}
	s.resumed = s.offered && len(hi.session) > 0 && string(hi.session) == string(s.hello.session)
	return nil
}

// End adds the row, when one of the hellos was seen.
func (s *Stream) End(out *parse.Out) {
	if !s.offered && !s.chosen {
		return
	}
	n := &s.session
	row := network.TLSHello{Time: n.Time, Client: n.Client, Server: n.Server, SrcPort: n.ClientPort, DstPort: n.ServerPort, Proto: n.Proto}
	if s.client == parse.Server {
		row.Client, row.Server, row.SrcPort, row.DstPort = row.Server, row.Client, row.DstPort, row.SrcPort
	}
	if s.offered {
		s.print.Fill(out, &row, &s.hello, OverTCP)
	}
	if s.chosen {
		row.Chosen, row.Cipher, row.Resumed = s.version, s.cipher, s.resumed && !s.full
		row.Protocol, row.JA3S = out.Text(s.protocol), out.Intern(s.ja3s)
	}
	if s.leaf != nil {
		s.certificate(out, &row, s.leaf)
	}
	if s.alerted {
		row.Alert = alertName(s.alert)
	}
	s.offered, s.chosen = false, false
	parse.Add(out, &out.TLS, row)
}
