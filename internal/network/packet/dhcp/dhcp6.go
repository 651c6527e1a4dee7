package dhcp

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	maxRelays = 8 // RFC 8415 section 7.6, HOP_COUNT_LIMIT
	relayForw = 12
	relayRepl = 13
)

// Parser6 reads DHCP of IPv6. One serves all flows.
type Parser6 struct {
	name, vendor, domain, text []byte
	left                       int // options that may still be read in the message
}

var _ parse.Datagrams = (*Parser6)(nil)

// New6 makes a Parser6.
func New6() *Parser6 { return new(Parser6) }

var types6 = [...]string{"", "solicit", "advertise", "request", "confirm", "renew", "rebind", "reply", "release", "decline",
	"reconfigure", "information-request", "relay-forw", "relay-repl", "leasequery", "leasequery-reply", "leasequery-done",
	"leasequery-data", "reconfigure-request", "reconfigure-reply", "dhcpv4-query", "dhcpv4-response"}

// LooksLike6 reports whether b begins like a DHCP message of IPv6: a known
// type, and a first option that fits.
func LooksLike6(b []byte) bool {
	if len(b) < 4 || b[0] == 0 || int(b[0]) >= len(types6) {
		return false
	}
	at := 4
	if b[0] == relayForw || b[0] == relayRepl {
		at = 34
	}
	return len(b) == at || len(b) >= at+4 && at+4+int(be.Uint16(b[at+2:])) <= len(b)
}

// Datagram reads one message; of one that relays have wrapped, the message of
// the client or server inside.
func (p *Parser6) Datagram(out *parse.Out, _ int, b []byte) error {
	if !LooksLike6(b) {
		return parse.ErrNot
	}
	d := network.DHCP{Session: out.Session, Version: 6}
	p.name, p.vendor, p.domain, p.text, p.left = p.name[:0], p.vendor[:0], p.domain[:0], p.text[:0], maxOptions
	for range maxRelays + 1 {
		inner, err := p.message(&d, b)
		if err != nil {
			return err
		}
		if inner == nil {
			break
		}
		b = inner
	}
	d.HostName, d.VendorClass, d.Domain = out.Text(p.name), out.Text(p.vendor), out.Text(p.domain)
	d.Fingerprint = out.Intern(p.text)
	parse.Add(out, &out.Records.DHCP, d)
	return nil
}

// message reads a message, and returns the one that it relays, if any.
func (p *Parser6) message(d *network.DHCP, b []byte) (inner []byte, err error) {
	if len(b) < 4 {
		return nil, parse.ErrMalformed
	}
	d.Type = strconv.Itoa(int(b[0]))
	if int(b[0]) < len(types6) {
		d.Type = types6[b[0]]
	}
	at := 4
	if b[0] == relayForw || b[0] == relayRepl {
		if at = 34; len(b) < at {
			return nil, parse.ErrMalformed
		}
	}
	return inner, p.options(b[at:], func(code uint16, v []byte) error {
		if code == 9 && at == 34 && len(v) >= 4 {
			inner = v
		}
		return p.option(d, code, v)
	})
}

func (p *Parser6) options(b []byte, visit func(code uint16, v []byte) error) error {
	for len(b) > 0 {
		if p.left--; p.left < 0 || len(b) < 4 || 4+int(be.Uint16(b[2:])) > len(b) {
			return parse.ErrMalformed
		}
		code, v := be.Uint16(b), b[4:4+int(be.Uint16(b[2:]))]
		b = b[4+len(v):]
		if err := visit(code, v); err != nil {
			return err
		}
	}
	return nil
}

// option takes an option of a message (RFC 8415 section 21; 24 is RFC 3646, 39
// RFC 4704, 79 RFC 6939).
func (p *Parser6) option(d *network.DHCP, code uint16, v []byte) error {
	switch code {
	case 1:
		d.MAC = duid(v, d.MAC)
	case 3: // IA_NA: identity and two times, then options
		if len(v) >= 12 {
			return p.options(v[12:], func(code uint16, v []byte) error { return addrOf(d, code, v) })
		}
	case 4: // IA_TA
		if len(v) >= 4 {
			return p.options(v[4:], func(code uint16, v []byte) error { return addrOf(d, code, v) })
		}
	case 25: // IA_PD
		if len(v) >= 12 {
			return p.options(v[12:], func(code uint16, v []byte) error { return addrOf(d, code, v) })
		}
	case 6:
		p.requested(v)
	case 16: // enterprise number, then texts behind their length
		if len(v) >= 6 && len(p.vendor) == 0 {
			n := min(int(be.Uint16(v[4:])), len(v)-6)
			p.vendor = limited(p.vendor, v[6:6+n], parse.MaxText)
		}
	case 24:
		if len(p.domain) == 0 {
			p.domain = appendName(p.domain, v)
		}
	case 39:
		if len(v) > 1 && len(p.name) == 0 {
			p.name = appendName(p.name, v[1:])
		}
	case 79:
		if len(v) == 8 && be.Uint16(v) == 1 {
			d.MAC = network.MAC(v[2:8])
		}
	}
	return nil
}

// requested writes the option request list.
func (p *Parser6) requested(v []byte) {
	if len(p.text) > 0 {
		return
	}
	for i := 0; i+2 <= len(v) && i < 2*maxParams; i += 2 {
		if i > 0 {
			p.text = append(p.text, ',')
		}
		p.text = strconv.AppendUint(p.text, uint64(be.Uint16(v[i:])), 10)
	}
}

// duid returns the hardware address in a client identifier that has one
// (DUID-LLT, DUID-LL, of Ethernet), else was.
func duid(v []byte, was network.MAC) network.MAC {
	switch {
	case len(v) == 14 && be.Uint16(v) == 1 && be.Uint16(v[2:]) == 1:
		return network.MAC(v[8:14])
	case len(v) == 10 && be.Uint16(v) == 3 && be.Uint16(v[2:]) == 1:
		return network.MAC(v[4:10])
	}
	return was
}

// addrOf takes the first address, or else delegated prefix, of an identity
// association.
func addrOf(d *network.DHCP, code uint16, v []byte) error {
	switch {
	case d.Addr.IsValid():
	case code == 5 && len(v) >= 24: // address, preferred and valid lifetime
		d.Addr = netip.AddrFrom16([16]byte(v[:16]))
		d.Lease = time.Duration(be.Uint32(v[20:])) * time.Second
	case code == 26 && len(v) >= 25: // preferred and valid lifetime, length, prefix
		d.Addr = netip.AddrFrom16([16]byte(v[9:25]))
		d.Lease = time.Duration(be.Uint32(v[4:])) * time.Second
	}
	return nil
}
