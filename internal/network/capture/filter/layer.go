package filter

import (
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/packet"
)

// EtherTypes (IEEE 802 numbers).
const (
	etherIP    = 0x0800
	etherARP   = 0x0806
	etherRARP  = 0x8035
	etherVLAN  = 0x8100
	etherIPv6  = 0x86dd
	etherMPLS  = 0x8847
	etherQinQ  = 0x88a8
	etherQinQ0 = 0x9100 // before 802.1ad
	maxLength  = 1500   // a greater number in its place is an EtherType
)

// layers say where the headers of a frame are.
type layers struct {
	kind    linkKind
	typ     uint32 // offset of the EtherType
	payload uint32 // offset of what the link carries, tags and labels left out
	tags    int    // VLAN tags met so far
	labels  int    // MPLS labels met so far
	shifted bool   // the frame is shifted by what scratchShift says
}

type linkKind byte

const (
	kindEthernet linkKind = iota
	kindCooked            // the EtherType stands in a header without addresses
	kindRaw               // nothing but IP of either version
	kindRawIPv4
	kindRawIPv6
	kindNull // an address family, in the byte order of whoever captured
	kindLoop // an address family, in network byte order
)

// layers finds the headers of the link type.
func (c *compiler) layers() error {
	h := &c.header
	switch c.opts.Link {
	case packet.LinkEthernet:
		*h = layers{kind: kindEthernet, typ: 12, payload: 14}
	case packet.LinkLinuxSLL:
		*h = layers{kind: kindCooked, typ: 14, payload: 16}
	case packet.LinkLinuxSLL2:
		*h = layers{kind: kindCooked, typ: 0, payload: 20}
	case packet.LinkRaw, 12, 14: // the two as some systems wrote them
		*h = layers{kind: kindRaw}
	case packet.LinkIPv4:
		*h = layers{kind: kindRawIPv4}
	case packet.LinkIPv6:
		*h = layers{kind: kindRawIPv6}
	case packet.LinkLoopback:
		*h = layers{kind: kindNull, payload: 4}
	case packet.LinkLoop:
		*h = layers{kind: kindLoop, payload: 4}
	default:
		return errs.New(errs.Invalid, "a filter cannot be used on the link type %s: Ethernet, Linux cooked, raw IP and loopback can be filtered", c.opts.Link)
	}
	return nil
}

// size of a load, in bytes, selects the operation.
func loadOp(size int, index bool) uint16 {
	op := map[int]uint16{1: opLoadByte, 2: opLoadHalf, 4: opLoadWord}[size]
	if index {
		op += opIndexWord - opLoadWord
	}
	return op
}

// at loads size bytes at an offset from the frame's beginning.
func (c *compiler) at(offset uint32, size int) []ins {
	if c.header.shifted {
		return []ins{{opLoadXMem, scratchShift}, {loadOp(size, true), offset}}
	}
	return []ins{{loadOp(size, false), offset}}
}

// net loads size bytes at an offset from the network header.
func (c *compiler) net(offset uint32, size int) []ins { return c.at(c.network()+offset, size) }

func (c *compiler) network() uint32 { return c.header.payload + 4*uint32(c.header.labels) }

// transport loads size bytes at an offset from the header behind IPv4's, which
// has options.
func (c *compiler) transport(offset uint32, size int) []ins {
	return append(c.toTransport(), ins{loadOp(size, true), c.network() + offset})
}

// toTransport leaves the length of the IPv4 header, and the shift, in X.
func (c *compiler) toTransport() []ins {
	if !c.header.shifted {
		return []ins{{opLoadXIHL, c.network()}}
	}
	return append(c.net(0, 1), ins{opAnd, 15}, ins{opShiftL, 2}, ins{opAdd | opX, 0}, ins{opTAX, 0})
}

// auxiliary loads what the kernel knows of a packet.
func (c *compiler) auxiliary(k uint32) []ins { return []ins{{opLoadWord, k}} }

// etherType tests what the frame carries.
func (c *compiler) etherType(t token, typ uint32) (*condition, error) {
	h := &c.header
	if h.labels > 0 {
		return c.underLabel(t, typ)
	}
	switch h.kind {
	case kindEthernet:
		if typ <= maxLength { // an 802.3 frame, whose LLC header names the protocol
			return and(not(test(c.at(h.typ, 2), opGreater, maxLength)), equal(c.at(h.payload, 1), typ)), nil
		}
		return equal(c.at(h.typ, 2), typ), nil
	case kindCooked:
		if typ <= maxLength {
			return and(equal(c.at(h.typ, 2), 4), equal(c.at(h.payload, 1), typ)), nil // LINUX_SLL_P_802_2
		}
		return equal(c.at(h.typ, 2), typ), nil
	case kindRawIPv4:
		return always(typ == etherIP), nil
	case kindRawIPv6:
		return always(typ == etherIPv6), nil
	}
	switch typ {
	case etherIP:
		return c.family(4, 2), nil
	case etherIPv6:
		return c.family(6, 10, 24, 28, 30), nil // Linux, NetBSD and OpenBSD, FreeBSD, macOS
	}
	return always(false), nil
}

// family tests the IP version of a raw frame, or the address family in front
// of a loopback one.
func (c *compiler) family(version uint32, families ...uint32) *condition {
	if c.header.kind == kindRaw {
		return masked(c.at(0, 1), 0xf0, version<<4)
	}
	var any *condition
	for _, f := range families {
		one := equal(c.at(0, 4), f)
		if c.header.kind == kindNull {
			one = or(one, equal(c.at(0, 4), f<<24))
		}
		if any != nil {
			one = or(any, one)
		}
		any = one
	}
	return any
}

// underLabel tests what the bottom of an MPLS label stack carries, by the
// version nibble.
func (c *compiler) underLabel(t token, typ uint32) (*condition, error) {
	nibble := uint32(0x40)
	switch typ {
	case etherIP:
	case etherIPv6:
		nibble = 0x60
	default:
		return nil, c.fail(t, "behind an MPLS label only ip and ip6 can be told apart")
	}
	bottom := masked(c.at(c.network()-2, 1), 1, 1)
	return and(bottom, masked(c.net(0, 1), 0xf0, nibble)), nil
}
