package filter

import (
	"context"
	"net"
	"strconv"
	"strings"
)

// IP protocol numbers (IANA).
var protoNumbers = map[string]uint32{
	"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmp6": 58, "pim": 103, "vrrp": 112, "sctp": 132,
}

const fragmentHeader = 44

// abbreviation compiles a protocol's name that stands alone.
func (c *compiler) abbreviation(t token, name string) (*condition, error) {
	switch name {
	case "ip":
		return c.etherType(t, etherIP)
	case "ip6":
		return c.etherType(t, etherIPv6)
	case "arp":
		return c.etherType(t, etherARP)
	case "rarp":
		return c.etherType(t, etherRARP)
	case "ether":
		return nil, c.fail(c.peek(), "after ether follows host, src, dst, proto, broadcast or multicast")
	case "icmp", "igmp", "vrrp":
		return c.proto4(t, protoNumbers[name])
	case "icmp6":
		return c.proto6(t, protoNumbers[name])
	}
	return c.protoBoth(t, protoNumbers[name])
}

// proto compiles "proto N" below a link or a network protocol.
func (c *compiler) proto(t token, q qualifiers) (*condition, error) {
	if q.dir != "" {
		return nil, c.fail(t, "a protocol has no %s", q.dir)
	}
	if q.proto == "ether" {
		typ, ok := map[string]uint32{"ip": etherIP, "ip6": etherIPv6, "arp": etherARP, "rarp": etherRARP}[t.text]
		if !ok {
			typ, ok = number(t)
		}
		if !ok || typ > 0xffff {
			return nil, c.fail(t, "%s is no EtherType; write a number such as 0x88cc, or ip, ip6, arp, rarp", t)
		}
		return c.etherType(t, typ)
	}
	n, ok := protoNumbers[t.text]
	if !ok {
		n, ok = number(t)
	}
	if !ok || n > 255 {
		return nil, c.fail(t, "%s is no IP protocol; write a number up to 255, or icmp, igmp, tcp, udp, gre, esp, ah, icmp6, pim, vrrp, sctp", t)
	}
	switch q.proto {
	case "ip":
		return c.proto4(t, n)
	case "ip6":
		return c.proto6(t, n)
	case "":
		return c.protoBoth(t, n)
	}
	return nil, c.fail(t, "proto goes with ether, ip and ip6, not with %s", q.proto)
}

func (c *compiler) proto4(t token, n uint32) (*condition, error) {
	is4, err := c.etherType(t, etherIP)
	if err != nil {
		return nil, err
	}
	return and(is4, equal(c.net(9, 1), n)), nil
}

// proto6 looks at the next header, and behind a fragment header in its place.
func (c *compiler) proto6(t token, n uint32) (*condition, error) {
	is6, err := c.etherType(t, etherIPv6)
	if err != nil {
		return nil, err
	}
	behind := and(equal(c.net(6, 1), fragmentHeader), equal(c.net(40, 1), n))
	return and(is6, or(equal(c.net(6, 1), n), behind)), nil
}

func (c *compiler) protoBoth(t token, n uint32) (*condition, error) {
	four, err := c.proto4(t, n)
	if err != nil {
		return nil, err
	}
	six, err := c.proto6(t, n)
	if err != nil {
		return nil, err
	}
	return or(four, six), nil
}

// cast compiles broadcast and multicast.
func (c *compiler) cast(t token, proto, what string) (*condition, error) {
	switch {
	case proto == "ether" && c.header.kind != kindEthernet:
		return nil, c.fail(t, "%s goes with Ethernet only; this is %s", what, c.opts.Link)
	case proto == "ether" && what == "multicast":
		return test(c.frame(0, 1), opSet, 1), nil
	case proto == "ether":
		return and(equal(c.frame(2, 4), 0xffffffff), equal(c.frame(0, 2), 0xffff)), nil
	case proto == "ip" && what == "multicast":
		is4, err := c.etherType(t, etherIP)
		return and(is4, test(c.net(16, 1), opGreaterEqual, 224)), err
	case proto == "ip6" && what == "multicast":
		is6, err := c.etherType(t, etherIPv6)
		return and(is6, equal(c.net(24, 1), 255)), err
	case proto == "ip":
		return nil, c.fail(t, "ip broadcast needs the network's mask, which a filter does not know; write dst host with the broadcast address")
	}
	return nil, c.fail(t, "%s does not go with %s", what, proto)
}

// port compiles an identifier of the kinds port and portrange.
func (c *compiler) port(t token, q qualifiers) (*condition, error) {
	protos := []uint32{6, 17, 132}
	network := "ip"
	switch q.proto {
	case "":
	case "tcp", "udp", "sctp":
		protos, network = []uint32{protoNumbers[q.proto]}, q.proto
	default:
		return nil, c.fail(t, "%s has no ports; tcp, udp and sctp have", q.proto)
	}
	low, high, err := c.ports(t, q.kind, network)
	if err != nil {
		return nil, err
	}
	is4, err := c.etherType(t, etherIP)
	if err != nil {
		return nil, err
	}
	is6, err := c.etherType(t, etherIPv6)
	if err != nil {
		return nil, err
	}
	four, six := always(false), always(false)
	for _, p := range protos {
		first := not(test(c.net(6, 2), opSet, 0x1fff)) // later fragments have no ports
		four = or(four, and(and(equal(c.net(9, 1), p), first),
			directed(q.dir, between(c.transport(0, 2), low, high), between(c.transport(2, 2), low, high))))
		six = or(six, and(equal(c.net(6, 1), p), directed(q.dir, between(c.net(40, 2), low, high), between(c.net(42, 2), low, high))))
	}
	return or(and(is4, four), and(is6, six)), nil
}

func between(steps []ins, low, high uint32) *condition {
	if low == high {
		return equal(steps, low)
	}
	return and(test(steps, opGreaterEqual, low), not(test(steps, opGreater, high)))
}

// ports reads a port, or a range of them.
func (c *compiler) ports(t token, kind, network string) (low, high uint32, err error) {
	if kind == "port" {
		low, err = c.onePort(t, t.text, network)
		return low, low, err
	}
	from, to, ok := strings.Cut(t.text, "-")
	if !ok {
		return 0, 0, c.fail(t, "%s is no range of ports such as 6000-6010", t)
	}
	if low, err = c.onePort(t, from, network); err != nil {
		return 0, 0, err
	}
	if high, err = c.onePort(t, to, network); err != nil {
		return 0, 0, err
	}
	return min(low, high), max(low, high), nil
}

// onePort reads a port's number, or its name as /etc/services has it.
func (c *compiler) onePort(t token, text, network string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return uint32(n), nil
	}
	for _, of := range [...]string{"tcp", "udp"} {
		if network != of && network != "ip" || text == "" || text[0] < 'a' || text[0] > 'z' {
			continue
		}
		if n, err := (&net.Resolver{PreferGo: true}).LookupPort(context.Background(), of, text); err == nil { // a file is read, and nobody asked
			return uint32(n), nil
		}
	}
	return 0, c.fail(t, "%q is no port: write a number up to 65535, or a name of /etc/services", text)
}
