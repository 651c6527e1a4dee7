// Package ssh reads the beginning of an SSH connection (RFC 4253): the
// identification strings and the algorithms that both sides offer.
package ssh

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits.
const (
	maxLine   = 255 // bytes of an identification string, with its end (RFC 4253 section 4.2)
	maxLines  = 64  // that a server may send before it
	maxPacket = parse.MaxBuffer - 4
	kexInit   = 20 // SSH_MSG_KEXINIT
)

// Where a side is.
const (
	atBanner = iota
	atKex
	atEnd
)

// Stream reads one connection, and adds one row to Records.SSH.
type Stream struct {
	begun   bool
	session network.Session // of the first bytes
	sides   [2]half
	text    []byte
}

type half struct {
	place  int
	lines  int
	banner [maxLine]byte
	size   int
	hashed bool
	hassh  [md5.Size]byte
}

var _ parse.Stream = (*Stream)(nil)

// LooksLike reports whether a side begins with an identification string.
func LooksLike(_ int, b []byte) bool { return bytes.HasPrefix(b, []byte("SSH-")) }

// Reset makes the stream ready for the next connection.
func (s *Stream) Reset() { *s = Stream{text: s.text[:0]} }

// Next takes an identification string or a KEXINIT packet.
func (s *Stream) Next(out *parse.Out, side int, b []byte) (int, error) {
	if !s.begun {
		s.begun, s.session = true, out.Session
	}
	h := &s.sides[side]
	switch h.place {
	case atBanner:
		return s.line(side, b)
	case atKex:
		return s.packet(side, b)
	}
	return len(b), nil
}

// line takes a line. A server may send others before the identification
// string (RFC 4253 section 4.2).
func (s *Stream) line(side int, b []byte) (int, error) {
	h := &s.sides[side]
	n := 1 + bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	if n == 0 && len(b) < maxLine {
		return 0, nil
	}
	if n == 0 {
		return 0, parse.ErrMalformed
	}
	if !LooksLike(side, b) {
		if h.lines++; side == parse.Client || h.lines > maxLines {
			return 0, parse.ErrNot
		}
		return n, nil
	}
	h.size = copy(h.banner[:], bytes.TrimRight(b[:n], "\r\n"))
	h.place = atKex
	if bytes.HasPrefix(b, []byte("SSH-1.")) && !bytes.HasPrefix(b, []byte("SSH-1.99-")) {
		h.place = atEnd // SSH 1 has no KEXINIT
	}
	return n, s.done()
}

func (s *Stream) done() error {
	if s.sides[0].place == atEnd && s.sides[1].place == atEnd {
		return parse.ErrDone
	}
	return nil
}

// packet takes the first binary packet (RFC 4253 sections 6 and 7.1), which is
// KEXINIT.
func (s *Stream) packet(side int, b []byte) (int, error) {
	if len(b) < 6 {
		return 0, nil
	}
	size := binary.BigEndian.Uint32(b)
	pad := uint32(b[4])
	if b[5] != kexInit || size > maxPacket || size < pad+18 {
		return 0, parse.ErrMalformed
	}
	if len(b) < int(4+size) {
		return 0, nil
	}
	h := &s.sides[side]
	h.place = atEnd
	if !s.hash(side, b[6+16:4+size-pad]) {
		return 0, parse.ErrMalformed
	}
	return int(4 + size), s.done()
}

// hash makes HASSH (https://github.com/salesforce/hassh): the MD5 of the key
// exchange methods, and of the ciphers, MACs and compressions of the side's
// own direction, with semicolons.
func (s *Stream) hash(side int, b []byte) bool {
	var lists [8][]byte
	for i := range lists {
		if len(b) < 4 {
			return false
		}
		n := binary.BigEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) {
			return false
		}
		lists[i], b = b[4:4+n], b[4+n:]
	}
	s.text = append(s.text[:0], lists[0]...)
	for _, i := range [...]int{2, 4, 6} {
		s.text = append(append(s.text, ';'), lists[i+side]...)
	}
	h := &s.sides[side]
	h.hassh, h.hashed = md5.Sum(s.text), true
	return true
}

// End adds the row, when an identification string was seen.
func (s *Stream) End(out *parse.Out) {
	c, v := &s.sides[parse.Client], &s.sides[parse.Server]
	if c.size == 0 && v.size == 0 {
		return
	}
	parse.Add(out, &out.Records.SSH, network.SSH{
		Session:      s.session,
		ClientBanner: out.Text(c.banner[:c.size]), ServerBanner: out.Text(v.banner[:v.size]),
		HASSH: s.sum(out, c), HASSHServer: s.sum(out, v),
	})
	c.size, v.size = 0, 0
}

func (s *Stream) sum(out *parse.Out, h *half) string {
	if !h.hashed {
		return ""
	}
	s.text = hex.AppendEncode(s.text[:0], h.hassh[:])
	return out.Intern(s.text)
}
