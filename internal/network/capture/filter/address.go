package filter

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// number reads a whole number as C writes it: 10, 0x0a, 012.
func number(t token) (uint32, bool) {
	if t.kind != word || t.text == "" || t.text[0] < '0' || t.text[0] > '9' || strings.Contains(t.text, "_") {
		return 0, false
	}
	n, err := strconv.ParseUint(t.text, 0, 32)
	return uint32(n), err == nil
}

// address compiles an identifier of the kinds host and net.
func (c *compiler) address(t token, q qualifiers) (*condition, error) {
	if q.proto == "ether" {
		return c.hardware(t, q)
	}
	if _, _, ok := dotted(t.text); q.kind == "" && !ok && !strings.Contains(t.text, ":") {
		return nil, c.fail(t, "%s is no address, and no word that can stand here", t)
	}
	switch q.proto {
	case "", "ip", "ip6", "arp", "rarp":
	default:
		return nil, c.fail(t, "%s has no addresses; write %q", q.proto, q.proto+" and host "+t.text)
	}
	if _, err := net.ParseMAC(t.text); err == nil && strings.Count(t.text, ":") == 5 {
		return nil, c.fail(t, "%s is a hardware address; write %q", t.text, "ether host "+t.text)
	}
	if strings.Contains(t.text, ":") {
		return c.address6(t, q)
	}
	addr, bits, ok := dotted(t.text)
	if !ok {
		return nil, c.fail(t, "%s is no address; names are not looked up", t)
	}
	if q.kind != "net" {
		if bits != 32 {
			return nil, c.fail(t, "%s is a part of an address; write the whole one, or net %s", t, t.text)
		}
		if c.is("/") {
			return nil, c.fail(c.peek(), "a network has a prefix length, a host has none; write net %s/…", t.text)
		}
	}
	mask := uint32(0)
	if bits > 0 {
		mask = ^uint32(0) << (32 - bits)
	}
	if q.kind == "net" {
		var err error
		if mask, err = c.mask(mask); err != nil {
			return nil, err
		}
		if addr&^mask != 0 {
			return nil, c.fail(t, "%s has bits outside of its mask; the network is %s", t, text4(addr&mask))
		}
	}
	if q.proto == "ip6" {
		return nil, c.fail(t, "%s is an IPv4 address; ip6 takes none", t)
	}
	return c.hosts4(t, q, addr, mask)
}

// dotted reads an IPv4 address, or its first parts: 10.1 is 10.1.0.0 with 16
// bits.
func dotted(text string) (addr uint32, bits int, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return 0, 0, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 3 {
			return 0, 0, false
		}
		addr |= uint32(n) << (24 - 8*i)
	}
	return addr, 8 * len(parts), true
}

func text4(a uint32) string {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a))).String()
}

// mask takes "/24" or "mask 255.255.255.0".
func (c *compiler) mask(given uint32) (uint32, error) {
	if c.accept("/") {
		n, ok := number(c.peek())
		if !ok || n > 32 {
			return 0, c.fail(c.peek(), "%s is no prefix length of IPv4: 0 to 32", c.peek())
		}
		c.take()
		if n == 0 {
			return 0, nil
		}
		return ^uint32(0) << (32 - n), nil
	}
	if c.accept("mask") {
		m, _, ok := dotted(c.peek().text)
		if !ok {
			return 0, c.fail(c.peek(), "%s is no mask such as 255.255.255.0", c.peek())
		}
		c.take()
		return m, nil
	}
	return given, nil
}

// hosts4 compares the addresses of IP and, without a protocol, ARP and RARP.
func (c *compiler) hosts4(t token, q qualifiers, addr, mask uint32) (*condition, error) {
	of := func(typ, src, dst uint32) (*condition, error) {
		carries, err := c.etherType(t, typ)
		if err != nil {
			return nil, err
		}
		match := func(at uint32) *condition { return masked(c.net(at, 4), mask, addr) }
		return and(carries, directed(q.dir, match(src), match(dst))), nil
	}
	switch q.proto {
	case "ip":
		return of(etherIP, 12, 16)
	case "arp":
		return of(etherARP, 14, 24)
	case "rarp":
		return of(etherRARP, 14, 24)
	}
	all, err := of(etherIP, 12, 16)
	if err != nil || c.header.labels > 0 {
		return all, err
	}
	for _, typ := range [...]uint32{etherARP, etherRARP} {
		one, err := of(typ, 14, 24)
		if err != nil {
			return nil, err
		}
		all = or(all, one)
	}
	return all, nil
}

// directed joins the tests of source and destination.
func directed(dir string, src, dst *condition) *condition {
	switch dir {
	case "src":
		return src
	case "dst":
		return dst
	case "src and dst":
		return and(src, dst)
	}
	return or(src, dst)
}

// address6 compares IPv6 addresses.
func (c *compiler) address6(t token, q qualifiers) (*condition, error) {
	addr, err := netip.ParseAddr(t.text)
	if err != nil || !addr.Is6() {
		return nil, c.fail(t, "%s is no address", t)
	}
	bits := 128
	if c.is("/") {
		if q.kind != "net" {
			return nil, c.fail(c.peek(), "a network has a prefix length, a host has none; write net %s/…", t.text)
		}
		c.take()
		n, ok := number(c.peek())
		if !ok || n > 128 {
			return nil, c.fail(c.peek(), "%s is no prefix length of IPv6: 0 to 128", c.peek())
		}
		c.take()
		bits = int(n)
	}
	if q.proto != "" && q.proto != "ip6" {
		return nil, c.fail(t, "%s is an IPv6 address; %s takes none", t, q.proto)
	}
	if p := netip.PrefixFrom(addr, bits).Masked(); p.Addr() != addr {
		return nil, c.fail(t, "%s has bits outside of its prefix; the network is %s", t, p)
	}
	is6, err := c.etherType(t, etherIPv6)
	if err != nil {
		return nil, err
	}
	b := addr.As16()
	match := func(at uint32) *condition {
		all := always(true)
		for i := range 4 {
			mask := uint32(0)
			if n := bits - 32*i; n > 0 {
				mask = ^uint32(0) << (32 - min(n, 32))
			}
			all = and(all, masked(c.net(at+4*uint32(i), 4), mask, binary.BigEndian.Uint32(b[4*i:])))
		}
		return all
	}
	return and(is6, directed(q.dir, match(8), match(24))), nil
}

// hardware compares Ethernet addresses.
func (c *compiler) hardware(t token, q qualifiers) (*condition, error) {
	mac, err := net.ParseMAC(t.text)
	if err != nil || len(mac) != 6 || q.kind == "net" {
		return nil, c.fail(t, "%s is no hardware address such as 02:00:5e:10:00:01", t)
	}
	if c.header.kind != kindEthernet {
		return nil, c.fail(t, "hardware addresses go with Ethernet only; this is %s", c.opts.Link)
	}
	match := func(at uint32) *condition {
		return and(equal(c.frame(at+2, 4), binary.BigEndian.Uint32(mac[2:])), equal(c.frame(at, 2), uint32(binary.BigEndian.Uint16(mac))))
	}
	return directed(q.dir, match(6), match(0)), nil
}

// frame loads from the beginning of the frame, which no tag shifts.
func (c *compiler) frame(offset uint32, size int) []ins { return []ins{{loadOp(size, false), offset}} }
