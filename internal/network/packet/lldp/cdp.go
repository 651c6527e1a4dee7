package lldp

import (
	"net/netip"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// The types of CDP's TLVs.
const (
	cdpDevice       = 0x0001
	cdpAddresses    = 0x0002
	cdpPort         = 0x0003
	cdpCapabilities = 0x0004
	cdpVersion      = 0x0005
	cdpPlatform     = 0x0006
	cdpNativeVLAN   = 0x000a
	cdpManagement   = 0x0016
)

const maxAddresses = 16

var cdpNames = [...]string{"router", "transparent-bridge", "source-route-bridge", "switch", "host", "igmp", "repeater",
	"telephone", "remote", "cvta", "two-port-relay"}

// LooksLikeCDP reports whether an 802.3 frame's LLC header says CDP.
func LooksLikeCDP(b []byte) bool {
	return len(b) >= 8 && string(b[:8]) == "\xaa\xaa\x03\x00\x00\x0c\x20\x00"
}

// CDP reads an announcement: b is what stands behind the length of the 802.3
// frame, or behind its LLC and SNAP headers. The checksum is not verified:
// devices compute it in two ways.
func (p *Parser) CDP(out *parse.Out, src network.MAC, b []byte) error {
	if LooksLikeCDP(b) {
		b = b[8:]
	}
	if len(b) < 4 || b[0] < 1 || b[0] > 2 {
		return parse.ErrNot
	}
	l := network.Link{Protocol: "cdp", MAC: src, VLAN: out.VLAN}
	named := false
	b = b[4:] // version, time to live, checksum
	for range maxTLVs {
		if len(b) == 0 {
			break
		}
		if len(b) < 4 || be.Uint16(b[2:]) < 4 || int(be.Uint16(b[2:])) > len(b) {
			return parse.ErrMalformed
		}
		typ, v := be.Uint16(b), b[4:be.Uint16(b[2:])]
		b = b[4+len(v):]
		named = named || typ == cdpDevice && len(v) > 0
		p.cdp(out, &l, typ, v)
	}
	if !named {
		return parse.ErrMalformed
	}
	p.add(out, l)
	return nil
}

func (p *Parser) cdp(out *parse.Out, l *network.Link, typ uint16, v []byte) {
	switch typ {
	case cdpDevice:
		l.Device = out.Text(v)
		l.Chassis = l.Device
	case cdpAddresses:
		if !l.Addr.IsValid() {
			l.Addr = cdpAddress(v)
		}
	case cdpManagement:
		if a := cdpAddress(v); a.IsValid() {
			l.Addr = a
		}
	case cdpPort:
		l.Port = out.Text(v)
	case cdpCapabilities:
		if len(v) == 4 {
			l.Capabilities = p.list(out, be.Uint32(v), cdpNames[:])
		}
	case cdpVersion:
		l.Description = out.Text(v)
	case cdpPlatform:
		l.Platform = out.Text(v)
	case cdpNativeVLAN:
		if len(v) == 2 {
			l.VLAN = be.Uint16(v)
		}
	}
}

// cdpAddress is the first IP address in a list: a count, then for each the
// type and length of its protocol, the protocol (0xcc, or the SNAP number
// 0x86dd), and its length.
func cdpAddress(v []byte) netip.Addr {
	if len(v) < 4 {
		return netip.Addr{}
	}
	n := be.Uint32(v)
	v = v[4:]
	for i := uint32(0); i < n && i < maxAddresses && len(v) >= 2; i++ {
		at := 2 + int(v[1])
		if len(v) < at+2 {
			break
		}
		end := at + 2 + int(be.Uint16(v[at:]))
		if end > len(v) {
			break
		}
		proto, a := v[2:at], v[at+2:end]
		v = v[end:]
		if len(a) == 4 && len(proto) == 1 && proto[0] == 0xcc ||
			len(a) == 16 && len(proto) == 8 && be.Uint16(proto[6:]) == 0x86dd {
			addr, _ := netip.AddrFromSlice(a)
			return addr
		}
	}
	return netip.Addr{}
}
