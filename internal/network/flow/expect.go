package flow

import "github.com/rind-project/rind/internal/network/packet"

// MaxExpect is how many packets are expected at once.
const MaxExpect = 16

// Expect brings near what the packets that come next will touch. A packet
// alone waits for memory twice, for its slot and for its record; of several
// that are looked for at once all wait together.
func (t *Table) Expect(list []packet.Glimpse) {
	var found [MaxExpect]uint64
	list = list[:min(len(list), MaxExpect)]
	for i := range list {
		k := glimpsed(&list[i])
		found[i] = t.slots[t.hash.sum(&k)>>32>>t.shift]
	}
	for _, s := range found[:len(list)] {
		if s != 0 {
			r := &t.slab[uint32(s)-1]
			t.near += r.key[0] + r.pkts[0]
		}
	}
}

// glimpsed is keyOf.
func glimpsed(g *packet.Glimpse) key {
	s, d := g.Src, g.Dst
	sp, dp := uint64(g.SrcPort), uint64(g.DstPort)
	if d.Hi < s.Hi || d.Hi == s.Hi && (d.Lo < s.Lo || d.Lo == s.Lo && dp < sp) {
		s, d, sp, dp = d, s, dp, sp
	}
	return key{s.Hi, s.Lo, d.Hi, d.Lo, sp<<48 | dp<<32 | uint64(g.Proto)<<24 | uint64(g.VLAN)<<12}
}
