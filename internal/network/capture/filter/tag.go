package filter

// vlan tests for a VLAN tag, of one id when one follows. From here on the
// expression looks behind the tag.
func (c *compiler) vlan(t token) (*condition, error) {
	h := &c.header
	if h.labels > 0 {
		return nil, c.fail(t, "a VLAN tag behind an MPLS label cannot be filtered")
	}
	if h.kind != kindEthernet {
		return nil, c.fail(t, "vlan goes with Ethernet only; this is %s", c.opts.Link)
	}
	id, given, err := c.optional(0xfff, "VLAN id")
	if err != nil {
		return nil, err
	}
	tpid := or(or(equal(c.at(h.typ, 2), etherVLAN), equal(c.at(h.typ, 2), etherQinQ)), equal(c.at(h.typ, 2), etherQinQ0))
	inFrame := tpid
	if given {
		inFrame = and(tpid, masked(c.at(h.payload, 2), 0xfff, id))
	}
	h.tags++
	if !c.opts.Live || h.tags > 1 {
		h.typ, h.payload = h.typ+4, h.payload+4
		return inFrame, nil
	}
	// The kernel has taken the tag out, or, of a frame that it did not receive
	// from a card, has not.
	taken := equal(c.auxiliary(auxTagPresent), 1)
	if given {
		taken = and(taken, masked(c.auxiliary(auxTag), 0xfff, id))
	}
	h.shifted, c.shifts = true, true
	return or(taken, and(inFrame, effect(ins{opLoadConst, 4}, ins{opStore, scratchShift}))), nil
}

// mpls tests for an MPLS label, of one value when one follows. From here on
// the expression looks behind the label.
func (c *compiler) mpls(t token) (*condition, error) {
	h := &c.header
	if h.kind != kindEthernet {
		return nil, c.fail(t, "mpls goes with Ethernet only; this is %s", c.opts.Link)
	}
	label, given, err := c.optional(0xfffff, "MPLS label")
	if err != nil {
		return nil, err
	}
	var is *condition
	if h.labels > 0 {
		is = masked(c.at(c.network()-2, 1), 1, 0) // the label before is not the last
	} else {
		is = equal(c.at(h.typ, 2), etherMPLS)
	}
	if given {
		is = and(is, masked(c.net(0, 4), 0xfffff000, label<<12))
	}
	h.labels++
	return is, nil
}

// optional takes a number when one follows.
func (c *compiler) optional(most uint32, what string) (n uint32, given bool, err error) {
	t := c.peek()
	if n, given = number(t); !given {
		return 0, false, nil
	}
	if n > most {
		return 0, false, c.fail(t, "%d is no %s: the greatest is %d", n, what, most)
	}
	c.next++
	return n, true, nil
}
