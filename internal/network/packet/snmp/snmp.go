// Package snmp reads SNMP messages of versions 1, 2c and 3 (RFC 1157, RFC
// 1901, RFC 3412, RFC 3414). A community string is a password: only whether
// it is a common one leaves the parser.
package snmp

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// The ports.
const (
	Port     = 161
	PortTrap = 162
)

// Parser reads SNMP. One serves all flows.
type Parser struct{ text []byte }

var _ parse.Datagrams = (*Parser)(nil)

// New makes a Parser.
func New() *Parser { return new(Parser) }

// operations are the names of the PDUs, by tag from 0xa0 (RFC 3416 section 3).
var operations = [...]string{"get", "getnext", "response", "set", "trap", "getbulk", "inform", "trap", "report"}

const (
	tagPDU    = 0xa0
	tagTrapV1 = 0xa4
	// encrypted stands for an operation that cannot be seen.
	encrypted = "encrypted"
)

// LooksLike reports whether b begins like an SNMP message: a sequence that
// begins with a version.
func LooksLike(b []byte) bool {
	if len(b) < 7 || b[0] != tagSequence {
		return false
	}
	_, body, _, ok := element(b)
	if !ok {
		return false
	}
	version, _, ok := integer(body)
	return ok && (version == 0 || version == 1 || version == 3)
}

// Datagram reads one message.
func (p *Parser) Datagram(out *parse.Out, _ int, b []byte) error {
	if !LooksLike(b) {
		return parse.ErrNot
	}
	_, body, _, _ := element(b)
	version, body, _ := integer(body)
	s := network.SNMP{Session: out.Session}
	var ok bool
	if version == 3 {
		s.Version = "3"
		ok = p.version3(out, &s, body)
	} else {
		s.Version = [...]string{"1", "2c"}[version]
		ok = p.community(out, &s, body)
	}
	if !ok {
		return parse.ErrMalformed
	}
	parse.Add(out, &out.Records.SNMP, s)
	return nil
}

// community reads what versions 1 and 2c have behind the version.
func (p *Parser) community(out *parse.Out, s *network.SNMP, b []byte) bool {
	name, rest, ok := expect(b, tagOctetString)
	if !ok {
		return false
	}
	switch string(name) {
	case "":
		s.Community = "empty"
	case "public", "private":
		s.Community = "default"
	default:
		s.Community = "other"
	}
	return p.pdu(out, s, rest)
}

// version3 reads what version 3 has behind the version: the header (RFC 3412
// section 6), the user's security parameters (RFC 3414 section 2.4), and the
// scoped PDU, unless it is encrypted.
func (p *Parser) version3(out *parse.Out, s *network.SNMP, b []byte) bool {
	header, b, ok := expect(b, tagSequence)
	if !ok {
		return false
	}
	var flags []byte
	var model int64
	if _, header, ok = integer(header); ok { // message id
		if _, header, ok = integer(header); ok { // largest message
			if flags, header, ok = expect(header, tagOctetString); ok {
				model, _, ok = integer(header)
			}
		}
	}
	if !ok || len(flags) != 1 {
		return false
	}
	s.Security = [...]string{"noauth", "auth", "noauth", "authpriv"}[flags[0]&3]
	security, b, ok := expect(b, tagOctetString)
	if !ok {
		return false
	}
	if model == 3 && !p.user(out, s, security) {
		return false
	}
	if flags[0]&2 != 0 {
		s.Operation = encrypted
		_, _, ok = expect(b, tagOctetString)
		return ok
	}
	scoped, _, ok := expect(b, tagSequence)
	if !ok {
		return false
	}
	if _, scoped, ok = expect(scoped, tagOctetString); !ok { // engine
		return false
	}
	if _, scoped, ok = expect(scoped, tagOctetString); !ok { // context
		return false
	}
	return p.pdu(out, s, scoped)
}

func (p *Parser) user(out *parse.Out, s *network.SNMP, b []byte) bool {
	b, _, ok := expect(b, tagSequence)
	if !ok {
		return false
	}
	if _, b, ok = expect(b, tagOctetString); !ok { // engine
		return false
	}
	for range 2 { // boots and time
		if _, b, ok = integer(b); !ok {
			return false
		}
	}
	name, _, ok := expect(b, tagOctetString)
	s.User = out.Text(name)
	return ok
}

// pdu reads operation, error status and first object.
func (p *Parser) pdu(out *parse.Out, s *network.SNMP, b []byte) bool {
	tag, body, _, ok := element(b)
	if !ok || tag < tagPDU || int(tag-tagPDU) >= len(operations) {
		return false
	}
	s.Operation = operations[tag-tagPDU]
	if tag == tagTrapV1 { // the enterprise comes first (RFC 1157 section 4.1.6)
		object, _, ok := expect(body, tagObject)
		p.object(out, s, object)
		return ok
	}
	_, body, ok = integer(body) // request id
	if !ok {
		return false
	}
	status, body, ok := integer(body) // of getbulk: non-repeaters
	if !ok {
		return false
	}
	if _, body, ok = integer(body); !ok {
		return false
	}
	if s.Operation == "response" || s.Operation == "report" {
		s.Error = uint8(max(0, min(status, 255)))
	}
	list, _, ok := expect(body, tagSequence)
	if !ok {
		return false
	}
	if len(list) == 0 {
		return true
	}
	binding, _, ok := expect(list, tagSequence)
	if !ok {
		return false
	}
	object, _, ok := expect(binding, tagObject)
	p.object(out, s, object)
	return ok
}

func (p *Parser) object(out *parse.Out, s *network.SNMP, v []byte) {
	p.text = appendObject(p.text[:0], v)
	s.Object = out.Intern(p.text)
}
