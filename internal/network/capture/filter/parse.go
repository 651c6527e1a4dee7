package filter

import "strings"

// qualifiers say how an identifier is meant. They stay for identifiers that
// follow without any: "port 80 or 443".
type qualifiers struct {
	proto string // ether, ip, ip6, arp, tcp, …, or ""
	dir   string // src, dst, "src or dst", "src and dst", or ""
	kind  string // host, net, port, portrange, proto, or ""
	known bool
}

// expression parses terms that are joined by and and or, which bind equally.
func (c *compiler) expression(depth int) (*condition, error) {
	if depth > maxDepth {
		return nil, c.fail(c.peek(), "parentheses and nots nest deeper than %d", maxDepth)
	}
	left, err := c.term(depth)
	for err == nil {
		var join func(a, b *condition) *condition
		switch {
		case c.accept("and", "&&"):
			join = and
		case c.accept("or", "||"):
			join = or
		default:
			return left, nil
		}
		var right *condition
		if right, err = c.term(depth); err == nil {
			left = join(left, right)
		}
	}
	return nil, err
}

// term parses one thing that is true or false.
func (c *compiler) term(depth int) (*condition, error) {
	t := c.peek()
	switch {
	case c.accept("not", "!"):
		if depth++; depth > maxDepth {
			return nil, c.fail(t, "parentheses and nots nest deeper than %d", maxDepth)
		}
		inner, err := c.term(depth)
		if err != nil {
			return nil, err
		}
		return not(inner), nil
	case c.accept("("):
		inner, err := c.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		if end := c.peek(); !c.accept(")") {
			return nil, c.fail(end, "%s stands where the parenthesis of column %d should be closed", end, t.column)
		}
		return inner, nil
	case t.kind == end:
		return nil, c.fail(t, "the filter ends where something should follow")
	case c.is("vlan"):
		c.take()
		return c.vlan(t)
	case c.is("mpls"):
		c.take()
		return c.mpls(t)
	case c.is("less", "greater"):
		return c.length()
	case c.arithmetic():
		return c.relation()
	}
	return c.primitive(depth)
}

// length parses "less N" and "greater N", both of which include N.
func (c *compiler) length() (*condition, error) {
	t := c.take()
	n, ok := number(c.peek())
	if !ok {
		return nil, c.fail(c.peek(), "after %s a number of bytes should follow", t.text)
	}
	c.take()
	steps := []ins{{opLoadLen, 0}}
	if t.text == "greater" {
		return test(steps, opGreaterEqual, n), nil
	}
	return not(test(steps, opGreater, n)), nil
}

// Words that qualify an identifier.
var protoWords = map[string]bool{
	"ether": true, "link": true, "ip": true, "ip6": true, "arp": true, "rarp": true, "tcp": true, "udp": true, "sctp": true,
	"icmp": true, "icmp6": true, "igmp": true, "ah": true, "esp": true, "pim": true, "vrrp": true,
}

// primitive parses qualifiers and what they qualify.
func (c *compiler) primitive(depth int) (*condition, error) {
	first := c.peek()
	var q qualifiers
	if first.kind == word && !first.quoted && protoWords[first.text] {
		c.take()
		q.proto, q.known = strings.Replace(first.text, "link", "ether", 1), true
	}
	if c.is("src", "dst") {
		q.dir, q.known = c.direction(), true
	}
	if c.is("host", "net", "port", "portrange", "proto") {
		q.kind, q.known = c.take().text, true
	} else if q.dir == "" && q.proto != "" {
		if b := c.peek(); c.accept("broadcast", "multicast") {
			return c.cast(first, q.proto, b.text)
		}
		if !c.identifies() {
			return c.abbreviation(first, q.proto)
		}
	} else if q.dir == "" && c.is("broadcast", "multicast") {
		return c.cast(first, "ether", c.take().text)
	}
	if !q.known {
		if !c.last.known || !c.identifies() {
			return nil, c.unknown(first)
		}
		q = c.last
	}
	c.last = q
	return c.identifier(q, depth)
}

// direction takes src, dst, or both joined.
func (c *compiler) direction() string {
	dir := c.take().text
	other := "src"
	if dir == "src" {
		other = "dst"
	}
	if c.is("or", "and", "||", "&&") && c.isAt(c.next+1, other) {
		join := "src and dst"
		if c.is("or", "||") {
			join = "src or dst"
		}
		c.next += 2
		return join
	}
	return dir
}

// identifies reports whether the next token can be an address, a number or a
// name that qualifiers belong to.
func (c *compiler) identifies() bool {
	t := c.peek()
	return t.kind == word && (t.quoted || !keywords[t.text])
}

// keywords cannot be identifiers without a backslash.
var keywords = map[string]bool{
	"and": true, "or": true, "not": true, "src": true, "dst": true, "host": true, "net": true, "port": true, "portrange": true,
	"proto": true, "vlan": true, "mpls": true, "less": true, "greater": true, "len": true, "broadcast": true, "multicast": true, "mask": true,
	"ether": true, "link": true, "ip": true, "ip6": true, "arp": true, "rarp": true, "tcp": true, "udp": true, "sctp": true,
	"icmp": true, "icmp6": true, "igmp": true, "ah": true, "esp": true, "pim": true, "vrrp": true,
}

// identifier parses what the qualifiers belong to: one identifier, or a list
// of them in parentheses.
func (c *compiler) identifier(q qualifiers, depth int) (*condition, error) {
	t := c.peek()
	if c.accept("(") {
		if depth++; depth > maxDepth {
			return nil, c.fail(t, "parentheses and nots nest deeper than %d", maxDepth)
		}
		left, err := c.listed(q, depth)
		for err == nil && c.is("and", "&&", "or", "||") {
			join := or
			if c.take(); c.isAt(c.next-1, "and", "&&") {
				join = and
			}
			var right *condition
			if right, err = c.listed(q, depth); err == nil {
				left = join(left, right)
			}
		}
		if err != nil {
			return nil, err
		}
		if stop := c.peek(); !c.accept(")") {
			return nil, c.fail(stop, "%s stands where the parenthesis of column %d should be closed", stop, t.column)
		}
		return left, nil
	}
	if t.kind != word || !t.quoted && keywords[t.text] && q.kind != "proto" {
		return nil, c.fail(t, "%s stands where %s should be", t, wanted(q))
	}
	c.take()
	switch q.kind {
	case "port", "portrange":
		return c.port(t, q)
	case "proto":
		return c.proto(t, q)
	}
	return c.address(t, q)
}

// listed parses one element of a list of identifiers.
func (c *compiler) listed(q qualifiers, depth int) (*condition, error) {
	if t := c.peek(); c.accept("not", "!") {
		if depth++; depth > maxDepth {
			return nil, c.fail(t, "parentheses and nots nest deeper than %d", maxDepth)
		}
		inner, err := c.listed(q, depth)
		if err != nil {
			return nil, err
		}
		return not(inner), nil
	}
	return c.identifier(q, depth)
}

// wanted says what should follow the qualifiers.
func wanted(q qualifiers) string {
	switch {
	case q.kind == "port":
		return "a port"
	case q.kind == "portrange":
		return "a range of ports such as 6000-6010"
	case q.kind == "proto":
		return "a protocol"
	case q.proto == "ether":
		return "a hardware address"
	case q.kind == "net":
		return "a network such as 10.0.0.0/8"
	}
	return "an address"
}

// unknown is the error for a word that begins nothing.
func (c *compiler) unknown(t token) error {
	if t.kind != word {
		return c.fail(t, "%s stands where a condition should begin", t)
	}
	return c.fail(t, "unknown word %s; a condition begins with host, net, port, portrange, proto, src, dst, ether, ip, ip6, arp, rarp, "+
		"icmp, icmp6, igmp, tcp, udp, sctp, vlan, mpls, less, greater, len, broadcast or multicast", t)
}
