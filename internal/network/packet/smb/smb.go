// Package smb reads the beginning of SMB sessions (MS-SMB2, of SMB1 MS-CIFS
// and MS-SMB) over TCP ports 445 and 139: the dialect and signing that were
// negotiated, the names in NTLM messages (MS-NLMP), and the shares asked for.
package smb

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var le = binary.LittleEndian

// The ports.
const (
	Port        = 445
	PortNetBIOS = 139 // RFC 1002
)

const (
	frameLen    = 4
	maxTrees    = 16
	maxMessages = 512 // of one connection that are looked at
	maxCompound = 16  // requests in one message (MS-SMB2 section 3.2.4.1.4)
)

// Stream follows a connection. What it found is one row, given at its end.
type Stream struct {
	row      network.SMB
	begun    bool // row has its session
	full     bool // a text found no room: the row is left out
	messages int
}

var _ parse.Stream = (*Stream)(nil)

// New makes a Stream.
func New() *Stream { return new(Stream) }

// Reset makes it ready for the next connection.
func (s *Stream) Reset() { *s = Stream{} }

// LooksLike reports whether b begins like SMB: the session request of NetBIOS,
// or a message with one of SMB's marks.
func LooksLike(b []byte) bool {
	if len(b) < frameLen {
		return false
	}
	if b[0] == sessionRequest {
		return b[1] == 0 && b[2] == 0 && b[3] == 68 // two names of 34 bytes
	}
	return len(b) >= 2*frameLen && b[0] == 0 && kind(b[4:]) != 0
}

// The types of NetBIOS's session packets (RFC 1002 section 4.3.1).
const (
	sessionMessage   = 0x00
	sessionRequest   = 0x81
	sessionPositive  = 0x82
	sessionNegative  = 0x83
	sessionRetarget  = 0x84
	sessionKeepAlive = 0x85
)

// kind is the first byte of a message: 0xfe SMB2, 0xff SMB1, 0xfd encrypted,
// 0xfc compressed, or 0 for what is none.
func kind(b []byte) byte {
	if len(b) >= 4 && b[0] >= 0xfc && string(b[1:4]) == "SMB" {
		return b[0]
	}
	return 0
}

// Next takes a message behind its length (RFC 1002 section 4.3.1; over port 445
// the length has 24 bits, MS-SMB2 section 2.1).
func (s *Stream) Next(out *parse.Out, _ int, b []byte) (int, error) {
	if len(b) < frameLen {
		return 0, nil
	}
	if !s.begun {
		if b[0] != sessionMessage && b[0] != sessionRequest && b[0] != sessionPositive {
			return 0, parse.ErrNot
		}
		if b[0] == sessionMessage && len(b) < 2*frameLen {
			return 0, nil
		}
		if b[0] == sessionMessage && kind(b[4:]) == 0 {
			return 0, parse.ErrNot
		}
		s.begun, s.row.Session = true, out.Session
	}
	size := frameLen + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
	switch b[0] {
	case sessionMessage:
	case sessionRequest, sessionPositive, sessionNegative, sessionRetarget, sessionKeepAlive:
		return size, nil
	default:
		return 0, parse.ErrMalformed
	}
	if size < 2*frameLen {
		return size, nil
	}
	// A large message is read as far as it may be held.
	need := min(size, parse.MaxBuffer)
	if len(b) < need {
		if !s.wants(b) {
			return size, s.count()
		}
		return 0, nil
	}
	msg := b[frameLen:need]
	switch kind(msg) {
	case 0xfe:
		s.smb2(out, msg)
	case 0xff:
		s.smb1(out, msg)
	case 0xfd: // what follows cannot be read
		return size, parse.ErrDone
	case 0xfc:
	default:
		return 0, parse.ErrMalformed
	}
	return size, s.count()
}

// wants reports whether a message of which only the beginning is here may be
// worth waiting for.
func (s *Stream) wants(b []byte) bool {
	if len(b) < frameLen+smb2Len {
		return true
	}
	msg := b[frameLen:]
	if kind(msg) != 0xfe {
		return true
	}
	return le.Uint16(msg[12:]) <= treeConnect || le.Uint32(msg[20:]) != 0
}

func (s *Stream) count() error {
	if s.messages++; s.messages >= maxMessages {
		return parse.ErrDone
	}
	return nil
}

// End gives the row, when anything was negotiated or asked for.
func (s *Stream) End(out *parse.Out) {
	r := &s.row
	if s.full {
		out.Over++
	} else if r.Dialect != "" || r.Host != "" || r.User != "" || len(r.Trees) > 0 {
		parse.Add(out, &out.Records.SMB, *r)
	}
	*s = Stream{}
}

// tree keeps a share that was asked for, with slashes in place of backslashes,
// which a text would show as \092.
func (s *Stream) tree(out *parse.Out, path []byte) {
	t := out.Text(bytes.ReplaceAll(path, []byte{'\\'}, []byte{'/'}))
	s.full = s.full || out.Overflown()
	if t != "" && len(s.row.Trees) < maxTrees && !slices.Contains(s.row.Trees, t) {
		s.row.Trees = append(s.row.Trees, t)
	}
}
