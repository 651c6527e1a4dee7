package filter

import "slices"

// names of numbers, as in tcp[tcpflags] & tcp-syn != 0.
var constants = map[string]uint32{
	"tcpflags": 13, "tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
	"icmptype": 0, "icmpcode": 1, "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-redirect": 5, "icmp-echo": 8, "icmp-timxceed": 11,
	"icmp6type": 0, "icmp6code": 1,
}

// relations with the jump that tests them, and whether it is turned round.
var relations = map[string]struct {
	op  uint16
	not bool
}{
	"=": {opEqual, false}, "==": {opEqual, false}, "!=": {opEqual, true}, ">": {opGreater, false}, "<=": {opGreater, true},
	">=": {opGreaterEqual, false}, "<": {opGreaterEqual, true},
}

// operators bind tighter from line to line.
var operators = []map[string]uint16{
	{"|": opOr}, {"^": opXor}, {"&": opAnd}, {"<<": opShiftL, ">>": opShiftR}, {"+": opAdd, "-": opSub}, {"*": opMul, "/": opDiv, "%": opMod},
}

// value is an arithmetic expression: steps that leave it in A.
type value struct {
	steps    []ins
	needs    []*condition // what the packet must be, so that the value is there
	constant bool
	k        uint32
}

// arithmetic reports whether a relation between numbers begins here.
func (c *compiler) arithmetic() bool {
	if c.is("len") || c.peek().kind == word && c.isAt(c.next+1, "[") {
		return true
	}
	if _, ok := number(c.peek()); !ok {
		return false
	}
	t := c.tokens[c.next+1] // a number is not the last token
	_, compares := relations[t.text]
	return compares || slices.ContainsFunc(operators, func(m map[string]uint16) bool { return t.kind == symbol && m[t.text] != 0 })
}

// relation parses two numbers that are compared.
func (c *compiler) relation() (*condition, error) {
	left, err := c.binary(0, 1)
	if err != nil {
		return nil, err
	}
	t := c.take()
	r, ok := relations[t.text]
	if !ok || t.kind != symbol {
		return nil, c.fail(t, "%s stands where numbers should be compared: =, !=, <, >, <= or >=", t)
	}
	right, err := c.binary(0, 2)
	if err != nil {
		return nil, err
	}
	var is *condition
	if right.constant {
		is = test(left.load(), r.op, right.k)
	} else {
		is = test(join(left, right, 1, ins{opLoadMem, 1}), r.op|opX, 0)
	}
	if r.not {
		is = not(is)
	}
	for _, need := range slices.Backward(append(left.needs, right.needs...)) {
		is = and(need, is)
	}
	return is, nil
}

// load returns the steps that leave the value in A.
func (v value) load() []ins {
	if v.constant {
		return []ins{{opLoadConst, v.k}}
	}
	return v.steps
}

// join leaves the right value in X and the left one in A, by a scratch word.
func join(left, right value, scratch uint32, last ...ins) []ins {
	steps := append(slices.Clip(left.load()), ins{opStore, scratch})
	steps = append(append(steps, right.load()...), ins{opTAX, 0})
	return append(steps, last...)
}

// binary parses operators of a level and of those above. scratch is the first
// word that is free.
func (c *compiler) binary(level int, scratch uint32) (value, error) {
	if level == len(operators) {
		return c.operand(scratch)
	}
	left, err := c.binary(level+1, scratch)
	for err == nil {
		op, ok := operators[level][c.peek().text]
		t := c.peek()
		if !ok || t.kind != symbol {
			return left, nil
		}
		c.take()
		if scratch+1 > 15 {
			return left, c.fail(t, "the expression is too deep")
		}
		var right value
		if right, err = c.binary(level+1, scratch+1); err != nil {
			break
		}
		left, err = c.operate(t, left, right, op, scratch)
	}
	return left, err
}

func (c *compiler) operate(t token, left, right value, op uint16, scratch uint32) (value, error) {
	needs := append(slices.Clip(left.needs), right.needs...)
	if right.constant {
		switch {
		case right.k == 0 && (op == opDiv || op == opMod):
			return left, c.fail(t, "division by zero")
		case right.k > 31 && (op == opShiftL || op == opShiftR):
			return left, c.fail(t, "a shift by %d bits: the greatest is 31", right.k)
		}
		if left.constant {
			m := machine{a: left.k}
			m.alu(op, right.k)
			return value{constant: true, k: m.a}, nil
		}
		return value{steps: append(slices.Clip(left.steps), ins{op, right.k}), needs: needs}, nil
	}
	return value{steps: join(left, right, scratch, ins{opLoadMem, scratch}, ins{op | opX, 0}), needs: needs}, nil
}

// operand parses a number, len, a value in parentheses, or bytes of a header.
func (c *compiler) operand(scratch uint32) (value, error) {
	t := c.take()
	if n, ok := number(t); ok {
		return value{constant: true, k: n}, nil
	}
	if n, ok := constants[t.text]; ok {
		return value{constant: true, k: n}, nil
	}
	switch {
	case t.text == "len":
		return value{steps: []ins{{opLoadLen, 0}}}, nil
	case t.text == "(" && scratch < 15:
		v, err := c.binary(0, scratch+1)
		if err == nil && !c.accept(")") {
			err = c.fail(c.peek(), "%s stands where the parenthesis of column %d should be closed", c.peek(), t.column)
		}
		return v, err
	case t.kind == word && c.accept("["):
		return c.bytes(t, scratch)
	}
	return value{}, c.fail(t, "%s stands where a number should be", t)
}

// bytes parses "offset:size]" behind a protocol's name.
func (c *compiler) bytes(t token, scratch uint32) (value, error) {
	if scratch+1 > 14 {
		return value{}, c.fail(t, "the expression is too deep")
	}
	index, err := c.binary(0, scratch+1)
	if err != nil {
		return value{}, err
	}
	size := uint32(1)
	if c.accept(":") {
		n, ok := number(c.peek())
		if !ok || n != 1 && n != 2 && n != 4 {
			return value{}, c.fail(c.peek(), "%s bytes cannot be read at once: 1, 2 or 4 can", c.peek())
		}
		c.take()
		size = n
	}
	if !c.accept("]") {
		return value{}, c.fail(c.peek(), "%s stands where the bracket should be closed", c.peek())
	}
	v, base, viaX, err := c.base(t)
	if err != nil {
		return value{}, err
	}
	v.needs = append(v.needs, index.needs...)
	load := loadOp(int(size), true)
	switch {
	case index.constant && viaX == nil:
		v.steps = []ins{{loadOp(int(size), false), base + index.k}}
	case index.constant:
		v.steps = append(slices.Clip(viaX), ins{load, base + index.k})
	case viaX == nil:
		v.steps = append(slices.Clip(index.steps), ins{opTAX, 0}, ins{load, base})
	default: // the index plus what X is
		v.steps = append(append(slices.Clip(index.steps), ins{opStore, scratch}), viaX...)
		v.steps = append(v.steps, ins{opLoadMem, scratch}, ins{opAdd | opX, 0}, ins{opTAX, 0}, ins{load, base})
	}
	return v, nil
}

// base finds where a protocol's header begins: at an offset, plus X after the
// steps when there are any.
func (c *compiler) base(t token) (v value, offset uint32, viaX []ins, err error) {
	if c.header.shifted {
		viaX = []ins{{opLoadXMem, scratchShift}}
	}
	need := func(of *condition, failed error) {
		v.needs, err = append(v.needs, of), failed
	}
	switch t.text {
	case "ether", "link":
		return v, 0, nil, nil
	case "ip", "arp", "rarp", "ip6":
		need(c.abbreviation(t, t.text))
		return v, c.network(), viaX, err
	case "icmp6":
		need(c.proto6(t, protoNumbers["icmp6"]))
		return v, c.network() + 40, viaX, err
	case "tcp", "udp", "sctp", "icmp", "igmp":
		is4, failed := c.proto4(t, protoNumbers[t.text])
		need(is4, failed)
		if failed == nil {
			v.needs = append(v.needs, not(test(c.net(6, 2), opSet, 0x1fff)))
		}
		return v, c.network(), c.toTransport(), err
	}
	return v, 0, nil, c.fail(t, "%s has no bytes to look at; ether, ip, ip6, arp, rarp, icmp, icmp6, igmp, tcp, udp and sctp have", t)
}
