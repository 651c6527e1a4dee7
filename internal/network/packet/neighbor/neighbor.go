// Package neighbor reads which hardware address an IP address has, as hosts
// tell it: ARP (RFC 826) and IPv6 neighbor discovery (RFC 4861). Equal
// bindings stand once in a report, with a count.
package neighbor

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var be = binary.BigEndian

// MaxBindings is how many different bindings one report has at most; a scan of
// a large network has one per address asked for.
const MaxBindings = 16384

// The sources of a binding.
const (
	arp = "arp"
	nd  = "nd"
)

// Parser counts bindings until a report is cut. One serves a pipeline.
type Parser struct {
	index map[key]int32
	rows  []network.Neighbor
}

// key is what makes two bindings equal.
type key struct {
	mac          network.MAC
	addr, target netip.Addr
	vlan         uint16
	source, kind string
}

var _ parse.Cutter = (*Parser)(nil)

// New makes a Parser.
func New() *Parser { return &Parser{index: map[key]int32{}} }

// add counts a binding. One that is new and finds the table full is counted in
// out.Over.
func (p *Parser) add(out *parse.Out, k key) {
	k.vlan = out.VLAN
	if i, known := p.index[k]; known {
		p.rows[i].Count++
		return
	}
	if len(p.rows) >= MaxBindings {
		out.Over++
		return
	}
	p.index[k] = int32(len(p.rows))
	p.rows = append(p.rows, network.Neighbor{
		Time: out.Time, MAC: k.mac, Addr: k.addr, VLAN: k.vlan, Source: k.source, Kind: k.kind, Target: k.target, Count: 1,
	})
}

// Cut puts the bindings of this report into out.
func (p *Parser) Cut(out *parse.Out, _ time.Time, _ bool) {
	for i := range p.rows {
		parse.Add(out, &out.Records.Neighbors, p.rows[i])
	}
	if len(p.rows) > MaxBindings/4 {
		p.index, p.rows = map[key]int32{}, nil // what an odd report made large is not kept
		return
	}
	clear(p.index)
	p.rows = p.rows[:0]
}
