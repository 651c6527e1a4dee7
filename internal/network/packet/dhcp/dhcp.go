// Package dhcp reads DHCP messages: of IPv4 (RFC 2131, options of RFC 2132)
// and of IPv6 (RFC 8415), with the list of options that a client asks for, by
// which its kind is known.
package dhcp

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var be = binary.BigEndian

// The ports.
const (
	ServerPort  = 67
	ClientPort  = 68
	ServerPort6 = 547
	ClientPort6 = 546
)

const (
	fixedLen   = 236 // of BOOTP, before the cookie
	cookie     = 0x63825363
	maxOptions = 256 // walked in one message
	maxParams  = 64  // of a parameter request list
)

// Parser reads DHCP of IPv4. One serves all flows.
type Parser struct {
	params, name, vendor, domain []byte // options may be split (RFC 3396)
	text                         []byte
}

var _ parse.Datagrams = (*Parser)(nil)

// New makes a Parser.
func New() *Parser { return new(Parser) }

// LooksLike reports whether b begins like a DHCP message of IPv4.
func LooksLike(b []byte) bool {
	return len(b) >= fixedLen+4 && (b[0] == 1 || b[0] == 2) && b[2] <= 16 && be.Uint32(b[fixedLen:]) == cookie
}

var types = [...]string{"", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform", "forcerenew",
	"leasequery", "leaseunassigned", "leaseunknown", "leaseactive", "bulkleasequery", "leasequerydone", "activeleasequery",
	"leasequerystatus", "tls"}

// Datagram reads one message.
func (p *Parser) Datagram(out *parse.Out, _ int, b []byte) error {
	if !LooksLike(b) {
		return parse.ErrNot
	}
	d := network.DHCP{Session: out.Session, Version: 4, Type: "bootrequest"}
	if b[0] == 2 {
		d.Type = "bootreply"
	}
	if b[1] == 1 && b[2] == 6 {
		d.MAC = network.MAC(b[28:34])
	}
	given, used := netip.AddrFrom4([4]byte(b[16:20])), netip.AddrFrom4([4]byte(b[12:16]))
	p.params, p.name, p.vendor, p.domain = p.params[:0], p.name[:0], p.vendor[:0], p.domain[:0]
	overload, err := p.options(&d, b[fixedLen+4:])
	// Options may go on in the fields of the file and of the server's name
	// (RFC 2132 section 9.3), in this order (RFC 3396 section 5).
	if err == nil && overload&1 != 0 {
		_, err = p.options(&d, b[108:236])
	}
	if err == nil && overload&2 != 0 {
		_, err = p.options(&d, b[44:108])
	}
	if err != nil {
		return err
	}
	if !given.IsUnspecified() {
		d.Addr = given
	} else if !d.Addr.IsValid() && !used.IsUnspecified() {
		d.Addr = used
	}
	d.HostName, d.VendorClass, d.Domain = out.Text(trim(p.name)), out.Text(trim(p.vendor)), out.Text(trim(p.domain))
	d.Fingerprint = p.list(out)
	parse.Add(out, &out.Records.DHCP, d)
	return nil
}

// list writes the parameter request list.
func (p *Parser) list(out *parse.Out) string {
	p.text = p.text[:0]
	for i, c := range p.params {
		if i > 0 {
			p.text = append(p.text, ',')
		}
		p.text = strconv.AppendUint(p.text, uint64(c), 10)
	}
	return out.Intern(p.text)
}

// options reads the options in b, which end with option 255, with b, or, as
// some clients have it, inside one whose data was left out.
func (p *Parser) options(d *network.DHCP, b []byte) (overload byte, err error) {
	for range maxOptions {
		if len(b) == 0 || b[0] == 255 {
			return overload, nil
		}
		if b[0] == 0 {
			b = skipPadding(b)
			continue
		}
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			return overload, parse.ErrMalformed
		}
		code, v := b[0], b[2:2+int(b[1])]
		b = b[2+len(v):]
		if code == 52 && len(v) == 1 {
			overload = v[0]
		}
		p.option(d, code, v)
	}
	return overload, parse.ErrMalformed
}

func skipPadding(b []byte) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

// option takes one option (RFC 2132; 81 is RFC 4702).
func (p *Parser) option(d *network.DHCP, code byte, v []byte) {
	switch code {
	case 3:
		if len(v) >= 4 {
			d.Router = netip.AddrFrom4([4]byte(v))
		}
	case 12:
		p.name = limited(p.name, v, parse.MaxText)
	case 15:
		p.domain = limited(p.domain, v, parse.MaxText)
	case 50:
		if len(v) == 4 {
			d.Addr = netip.AddrFrom4([4]byte(v))
		}
	case 51:
		if len(v) == 4 {
			d.Lease = time.Duration(be.Uint32(v)) * time.Second
		}
	case 53:
		if len(v) != 1 {
			return
		}
		if int(v[0]) < len(types) && v[0] > 0 {
			d.Type = types[v[0]]
		} else {
			d.Type = strconv.Itoa(int(v[0]))
		}
	case 55:
		p.params = limited(p.params, v, maxParams)
	case 60:
		p.vendor = limited(p.vendor, v, parse.MaxText)
	case 81:
		if len(v) > 3 && len(p.name) == 0 {
			if v[0]&4 != 0 { // in the form of DNS
				p.name = appendName(p.name, v[3:])
			} else {
				p.name = limited(p.name, v[3:], parse.MaxText)
			}
		}
	}
}

func limited(dst, b []byte, limit int) []byte {
	return append(dst, b[:min(len(b), max(0, limit-len(dst)))]...)
}

// trim removes the zeros that some put behind a text (RFC 2132 section 2).
func trim(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// appendName appends the labels of a name in the form of DNS, with dots. It
// ends with the name or with b; compression is not allowed here (RFC 8415
// section 10).
func appendName(dst, b []byte) []byte {
	for start := len(dst); len(b) > 1 && b[0] > 0 && b[0] < 64 && int(b[0]) < len(b); {
		if len(dst) > start {
			dst = append(dst, '.')
		}
		if dst = append(dst, b[1:1+int(b[0])]...); len(dst) > parse.MaxText {
			break
		}
		b = b[1+int(b[0]):]
	}
	return dst
}
