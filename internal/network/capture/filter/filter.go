// Package filter compiles capture filters, the expressions of tcpdump
// (pcap-filter(7)), to programs of the classic BSD packet filter: for the
// kernel to run on a packet socket, and for Program.Match on records of files.
// It needs no C library.
//
// The words that it knows are those that a sensor needs: host, net, port,
// portrange and proto with their qualifiers, ether, vlan, mpls, ip, ip6, arp,
// rarp, icmp, icmp6, igmp, tcp, udp, sctp, less, greater, len, broadcast,
// multicast, byte access such as tcp[13] & 2 != 0, and, or, not, parentheses.
// A program selects what tcpdump's selects, its peculiarities included: and
// and or bind equally and to the left, and after vlan or mpls the rest of the
// expression looks behind the tag. Names of hosts are not looked up.
package filter

import (
	"golang.org/x/net/bpf"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/packet"
)

const (
	maxText         = 8192   // bytes of an expression
	maxInstructions = 4096   // that the kernel takes (BPF_MAXINSNS)
	maxDepth        = 64     // of parentheses
	all             = 262144 // bytes to keep of a packet that is selected
)

// Options say what a filter is compiled for.
type Options struct {
	Link packet.LinkType
	// Live is for a packet socket, where the kernel has taken the outer VLAN
	// tag out of the frame: vlan then looks into the auxiliary data
	// (SKF_AD_VLAN_TAG), as well as into the frame.
	Live bool
	// Snaplen is how much of a selected packet is kept; 0 is all of it.
	Snaplen int
	// NoOutgoing leaves out what this host sends (live only): on loopback
	// every packet is seen twice.
	NoOutgoing bool
}

// Program is a compiled filter. It is read only, so that goroutines share it.
type Program struct{ code []bpf.RawInstruction }

// Compile compiles an expression; the empty one selects every packet. An
// error of kind Invalid says what is wrong, and at which column.
func Compile(expr string, opts Options) (*Program, error) {
	if len(expr) > maxText {
		return nil, errs.New(errs.Invalid, "filter of %d bytes: the limit is %d", len(expr), maxText)
	}
	c := &compiler{text: expr, opts: opts}
	if err := c.lex(); err != nil {
		return nil, err
	}
	root := always(true)
	if len(c.tokens) > 1 { // the last one is the end
		err := c.layers()
		if err != nil {
			return nil, err
		}
		if root, err = c.expression(0); err != nil {
			return nil, err
		}
		if t := c.peek(); t.kind != end {
			return nil, c.fail(t, "%s stands where and, or or the end should be", t)
		}
	}
	if opts.NoOutgoing {
		root = and(not(equal(c.auxiliary(auxPacketType), packetOutgoing)), root)
	}
	keep := uint32(all)
	if opts.Snaplen > 0 {
		keep = uint32(opts.Snaplen)
	}
	code := assemble(root, keep, c.shifts)
	if len(code) > maxInstructions {
		return nil, errs.New(errs.Invalid, "filter %q: it takes %d instructions; the kernel takes %d: make it shorter", expr, len(code), maxInstructions)
	}
	return &Program{code}, nil
}

// Instructions returns the program as the kernel takes it (SO_ATTACH_FILTER).
func (p *Program) Instructions() []bpf.RawInstruction { return p.code }

// Match reports whether a packet is selected. data may be shorter than the
// packet was on the wire; as in tcpdump, a packet that ends before a byte that
// the filter wants is not selected.
func (p *Program) Match(data []byte, wireLen int) bool { return run(p.code, data, wireLen, aux{}) != 0 }
