package flow

import "github.com/rind-project/rind/internal/network/packet"

// MaxExpect is how many packets are expected at once.
const MaxExpect = 32

// Near is where the flow of a packet that is to come was seen; the zero value
// is not known. It may be out of date by then.
type Near uint32

// Expect brings near what the packets that come next will touch, and notes
// where that is. A packet alone waits for memory twice, for its slot and for
// its record; of several that are looked for at once all wait together. For
// the sake of that nothing but memory is touched in the loops that wait.
func (t *Table) Expect(list []packet.Glimpse, near *[MaxExpect]Near) {
	var home [MaxExpect]uint32
	var k key
	list = list[:min(len(list), MaxExpect)]
	for i := range list {
		if g := &list[i]; g.Proto != 0 {
			k.glimpsed(g)
			home[i] = uint32(t.hash.sum(&k) >> 32 >> t.shift)
		}
	}
	for i := range list {
		near[i] = Near(t.slots[home[i]])
	}
	for i := range list {
		if n := near[i]; n != 0 {
			r := &t.slab[n-1]
			t.near += r.key[0] + r.pkts[0]
		}
	}
}

// At is the record where a flow was seen, which may be another's by now.
func (t *Table) At(n Near) *Record { return &t.slab[n-1] }

// glimpsed is of.
func (k *key) glimpsed(g *packet.Glimpse) {
	s, d := g.Src, g.Dst
	sp, dp := uint64(g.SrcPort), uint64(g.DstPort)
	if d.Hi < s.Hi || d.Hi == s.Hi && (d.Lo < s.Lo || d.Lo == s.Lo && dp < sp) {
		s, d, sp, dp = d, s, dp, sp
	}
	k[0], k[1], k[2], k[3] = s.Hi, s.Lo, d.Hi, d.Lo
	k[4], k[5] = sp<<48|dp<<32|uint64(g.Proto)<<24|uint64(g.VLAN)<<12, 0
}
