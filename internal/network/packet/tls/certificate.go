package tls

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Limits of a certificate.
const (
	maxLeaf   = 16 << 10 // bytes of one that is read
	MaxNames  = 8        // subject alternative names kept
	maxParts  = 32       // attributes of a name that are read
	maxOID    = 32       // bytes of one
	maxSerial = 32       // bytes of a serial number kept; RFC 5280 allows 20
)

// certificate puts what a certificate says (RFC 5280 section 4.1) into a row.
// Nothing is verified; what cannot be read is left out, and the hash is there
// for any bytes.
func (s *Stream) certificate(out *parse.Out, row *network.TLSHello, der []byte) {
	sum := sha256.Sum256(der)
	m := s.print.memory
	if m == nil {
		s.read(out, row, der, sum)
		return
	}
	known := &m.leaves[int(be.Uint16(sum[:]))%rememberedLeaves]
	if known.sum == sum && known.report == out.Report() {
		known.tell(row)
		return
	}
	s.read(out, row, der, sum)
	if !out.Full() { // else its texts are not whole
		known.keep(row, sum, out.Report())
	}
}

// read reads a certificate with the hash given.
func (s *Stream) read(out *parse.Out, row *network.TLSHello, der []byte, sum [sha256.Size]byte) {
	s.text = hex.AppendEncode(s.text[:0], sum[:])
	row.Fingerprint = out.Intern(s.text)
	all, _, ok := want(der, tagSequence)
	if !ok {
		return
	}
	b, _, ok := want(all, tagSequence)
	if !ok {
		return
	}
	if _, rest, ok := want(b, tagVersion); ok {
		b = rest
	}
	serial, b, ok := want(b, tagInteger)
	if !ok {
		return
	}
	row.Serial = out.Intern(s.serial(serial))
	if _, b, ok = want(b, tagSequence); !ok { // algorithm
		return
	}
	issuer, b, ok := want(b, tagSequence)
	if !ok {
		return
	}
	row.Issuer = out.Intern(s.name(issuer))
	validity, b, ok := want(b, tagSequence)
	if !ok {
		return
	}
	row.NotBefore, row.NotAfter = period(validity)
	subject, b, ok := want(b, tagSequence)
	if !ok {
		return
	}
	row.Subject = out.Intern(s.name(subject))
	s.alternatives(out, row, b)
}

func period(b []byte) (from, to time.Time) {
	tag, body, rest, ok := element(b)
	if !ok {
		return
	}
	from = derTime(tag, body)
	if tag, body, _, ok = element(rest); ok {
		to = derTime(tag, body)
	}
	return from, to
}

// serial is a serial number in hexadecimal, without the zero that makes it
// positive.
func (s *Stream) serial(b []byte) []byte {
	if len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	s.text = hex.AppendEncode(s.text[:0], b[:min(len(b), maxSerial)])
	return s.text
}

// alternatives reads the subject alternative names behind the subject: DNS
// names in lower case, and addresses (RFC 5280 section 4.2.1.6).
func (s *Stream) alternatives(out *parse.Out, row *network.TLSHello, b []byte) {
	var list []byte
	for len(b) > 0 {
		tag, body, rest, ok := element(b)
		if !ok {
			return
		}
		if tag == tagExtensions {
			list, _, _ = want(body, tagSequence)
			break
		}
		b = rest
	}
	for len(list) > 0 {
		ext, rest, ok := want(list, tagSequence)
		if !ok {
			return
		}
		list = rest
		oid, value, ok := want(ext, tagOID)
		if !ok || string(oid) != "\x55\x1d\x11" {
			continue
		}
		if _, after, critical := want(value, tagBoolean); critical {
			value = after
		}
		value, _, _ = want(value, tagOctets)
		names, _, _ := want(value, tagSequence)
		generalNames(out, row, names)
		return
	}
}

func generalNames(out *parse.Out, row *network.TLSHello, b []byte) {
	for len(b) > 0 && len(row.Names) < MaxNames {
		tag, body, rest, ok := element(b)
		if !ok {
			return
		}
		switch tag {
		case 0x82: // dNSName
			row.Names = out.Append(row.Names, out.Lower(body))
		case 0x87: // iPAddress
			if a, ok := netip.AddrFromSlice(body); ok {
				row.Names = out.Append(row.Names, out.Intern([]byte(a.String())))
			}
		}
		b = rest
	}
}

// name is a distinguished name as RFC 4514 writes it, the last attribute
// first, at most parse.MaxText bytes.
func (s *Stream) name(b []byte) []byte {
	var parts [maxParts][]byte // attribute and value, as they stand
	n := 0
	for len(b) > 0 && n < maxParts {
		set, rest, ok := want(b, tagSet)
		if !ok {
			break
		}
		for len(set) > 0 && n < maxParts {
			pair, more, ok := want(set, tagSequence)
			if !ok {
				break
			}
			parts[n] = pair
			n++
			set = more
		}
		b = rest
	}
	s.text = s.text[:0]
	for i := n - 1; i >= 0; i-- {
		oid, value, ok := want(parts[i], tagOID)
		if !ok {
			continue
		}
		tag, body, _, ok := element(value)
		if !ok {
			continue
		}
		if len(s.text) > 0 {
			s.text = append(s.text, ',')
		}
		s.text = append(s.attribute(oid), '=')
		s.value(tag, body)
	}
	if len(s.text) > parse.MaxText {
		s.text = s.text[:parse.MaxText]
		for !utf8.Valid(s.text) {
			s.text = s.text[:len(s.text)-1]
		}
	}
	return s.text
}

// attribute appends the short name of an attribute (RFC 4514 section 3), or
// its OID.
func (s *Stream) attribute(oid []byte) []byte {
	var short string
	switch string(oid) {
	case "\x55\x04\x03":
		short = "CN"
	case "\x55\x04\x05":
		short = "serialNumber"
	case "\x55\x04\x06":
		short = "C"
	case "\x55\x04\x07":
		short = "L"
	case "\x55\x04\x08":
		short = "ST"
	case "\x55\x04\x09":
		short = "STREET"
	case "\x55\x04\x0a":
		short = "O"
	case "\x55\x04\x0b":
		short = "OU"
	case "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01":
		short = "emailAddress"
	case "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01":
		short = "UID"
	case "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19":
		short = "DC"
	default:
		return dotted(s.text, oid[:min(len(oid), maxOID)])
	}
	return append(s.text, short...)
}

// dotted appends an OID in decimal (X.690 section 8.19).
func dotted(b, oid []byte) []byte {
	var v uint64
	first := true
	for _, c := range oid {
		if v = v<<7 | uint64(c&0x7f); c&0x80 != 0 {
			continue
		}
		if first {
			top := min(v/40, 2)
			b = strconv.AppendUint(b, top, 10)
			v -= top * 40
			first = false
		}
		b = strconv.AppendUint(append(b, '.'), v, 10)
		v = 0
	}
	return b
}

// value appends an attribute's value, escaped as RFC 4514 section 2.4 says.
func (s *Stream) value(tag byte, b []byte) {
	if tag == tagBMP {
		for ; len(b) >= 2 && len(s.text) <= parse.MaxText; b = b[2:] {
			r := rune(be.Uint16(b))
			if utf16.IsSurrogate(r) || !unicode.IsPrint(r) {
				r = utf8.RuneError
			}
			s.escaped(utf8.AppendRune(nil, r))
		}
		return
	}
	for len(b) > 0 && len(s.text) <= parse.MaxText {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			s.text = append(s.text, '\\', digits[b[0]>>4], digits[b[0]&15])
			b = b[1:]
			continue
		}
		s.escaped(b[:n])
		b = b[n:]
	}
}

func (s *Stream) escaped(char []byte) {
	switch char[0] {
	case ',', '+', '"', '\\', '<', '>', ';', '=':
		s.text = append(s.text, '\\')
	}
	s.text = append(s.text, char...)
}
