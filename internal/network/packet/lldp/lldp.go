// Package lldp reads what neighbouring devices announce of themselves: LLDP
// (IEEE 802.1AB) and CDP (Cisco Discovery Protocol). Equal announcements stand
// once in a report.
package lldp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var be = binary.BigEndian

// EtherType is that of LLDP, and SNAP the protocol number of CDP behind the
// organisation 00-00-0c.
const (
	EtherType = 0x88cc
	SNAP      = 0x2000
)

// MaxLinks is how many different announcements one report has at most.
const MaxLinks = 4096

// Parser keeps announcements until a report is cut. One serves a pipeline.
type Parser struct {
	seen map[network.Link]struct{} // with no time
	rows []network.Link
	text []byte
}

var _ parse.Cutter = (*Parser)(nil)

// New makes a Parser.
func New() *Parser { return &Parser{seen: map[network.Link]struct{}{}} }

// add keeps an announcement, unless it is known or there are too many, which
// out.Over counts.
func (p *Parser) add(out *parse.Out, l network.Link) {
	over := out.Overflown()
	if _, known := p.seen[l]; known && !over {
		return
	}
	if over || len(p.rows) >= MaxLinks {
		out.Over++
		return
	}
	p.seen[l] = struct{}{}
	l.Time = out.Time
	p.rows = append(p.rows, l)
}

// Cut puts the announcements of this report into out.
func (p *Parser) Cut(out *parse.Out, _ time.Time, _ bool) {
	for i := range p.rows {
		parse.Add(out, &out.Records.Links, p.rows[i])
	}
	clear(p.seen)
	p.rows = p.rows[:0]
}

// The types of LLDP's TLVs (IEEE 802.1AB-2016 section 8.4).
const (
	tlvEnd = iota
	tlvChassis
	tlvPort
	tlvTTL
	tlvPortDescription
	tlvSystemName
	tlvSystemDescription
	tlvCapabilities
	tlvManagement
	tlvOrganisation = 127
)

const maxTLVs = 256

// capabilities are the bits of the system capabilities (section 8.5.8).
var capabilities = [...]string{"other", "repeater", "bridge", "wlan-ap", "router", "telephone", "docsis", "station", "c-vlan", "s-vlan", "two-port-relay"}

// LLDP reads an announcement: b is what stands behind the EtherType, src the
// source of the frame.
func (p *Parser) LLDP(out *parse.Out, src network.MAC, b []byte) error {
	l := network.Link{Protocol: "lldp", MAC: src, VLAN: out.VLAN}
	name, port, leaving := "", false, false
	for n := range maxTLVs {
		if len(b) < 2 {
			break // some leave the end out
		}
		head := be.Uint16(b)
		typ, size := int(head>>9), int(head&511)
		if size > len(b)-2 {
			return parse.ErrMalformed
		}
		v := b[2 : 2+size]
		b = b[2+size:]
		// The first three are there, in this order (section 8.2).
		if n < 3 && typ != n+1 {
			return parse.ErrMalformed
		}
		if typ == tlvEnd {
			break
		}
		port = port || typ == tlvPort
		leaving = leaving || typ == tlvTTL && len(v) == 2 && be.Uint16(v) == 0
		if typ == tlvSystemName {
			name = out.Text(v)
			continue
		}
		if !p.tlv(out, &l, typ, v) {
			return parse.ErrMalformed
		}
	}
	if !port {
		return parse.ErrMalformed
	}
	if leaving { // a shutdown says nothing of the device (section 9.1.2.2)
		return nil
	}
	if l.Device = name; name == "" {
		l.Device = l.Chassis
	}
	p.add(out, l)
	return nil
}

// tlv takes one TLV, and reports false when it is too short to be one.
func (p *Parser) tlv(out *parse.Out, l *network.Link, typ int, v []byte) bool {
	switch typ {
	case tlvChassis, tlvPort:
		if len(v) < 2 {
			return false
		}
		mac, addr := byte(4), byte(5) // subtypes, sections 8.5.2 and 8.5.3
		if typ == tlvPort {
			mac, addr = 3, 4
		}
		text := p.id(out, v[0] == mac, v[0] == addr, v[1:])
		if typ == tlvChassis {
			l.Chassis = text
		} else {
			l.Port = text
		}
	case tlvPortDescription:
		l.PortName = out.Text(v)
	case tlvSystemDescription:
		l.Description = out.Text(v)
	case tlvCapabilities:
		if len(v) < 4 {
			return false
		}
		l.Capabilities = p.list(out, uint32(be.Uint16(v[2:])), capabilities[:]) // the enabled ones
	case tlvManagement: // length, family, address
		if len(v) > 2 && int(v[0]) <= len(v)-1 && !l.Addr.IsValid() {
			l.Addr = address(v[1], v[2:1+max(1, int(v[0]))])
		}
	case tlvOrganisation: // 802.1's port VLAN (IEEE 802.1Q, annex D)
		if len(v) == 6 && v[0] == 0x00 && v[1] == 0x80 && v[2] == 0xc2 && v[3] == 1 {
			l.VLAN = be.Uint16(v[4:])
		}
	}
	return true
}

// id is a chassis or port id in text.
func (p *Parser) id(out *parse.Out, isMAC, isAddr bool, v []byte) string {
	switch {
	case isMAC && len(v) == 6:
		p.text = append(p.text[:0], network.MAC(v).String()...)
		return out.Intern(p.text)
	case isAddr && len(v) > 1:
		if a := address(v[0], v[1:]); a.IsValid() {
			p.text = a.AppendTo(p.text[:0])
			return out.Intern(p.text)
		}
	}
	return out.Text(v)
}

// address is one of an address family (IANA), 1 is IPv4 and 2 IPv6.
func address(family byte, v []byte) netip.Addr {
	if family == 1 && len(v) == 4 || family == 2 && len(v) == 16 {
		a, _ := netip.AddrFromSlice(v)
		return a
	}
	return netip.Addr{}
}

// list writes the names of the bits that are set.
func (p *Parser) list(out *parse.Out, bits uint32, names []string) string {
	p.text = p.text[:0]
	for i, name := range names {
		if bits>>i&1 != 0 {
			if len(p.text) > 0 {
				p.text = append(p.text, ',')
			}
			p.text = append(p.text, name...)
		}
	}
	return out.Intern(p.text)
}
