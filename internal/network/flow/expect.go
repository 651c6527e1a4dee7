package flow

import (
	"unsafe"

	"github.com/rind-project/rind/internal/base/prefetch"
	"github.com/rind-project/rind/internal/network/packet"
)

// MaxExpect is how many packets are expected at once.
const MaxExpect = 32

// nearLines are the lines of a record that most packets touch.
const nearLines = 2

// Near is where the flow of a packet that is to come was seen; the zero value
// is not known. It may be out of date by then.
type Near uint32

// Expect brings near what the packets that come next will touch, and notes
// where that is. A packet alone waits for memory twice, for its slot and for
// its record; of several that are looked for at once nobody waits long: what
// one needs is on its way while the next is looked for.
func (t *Table) Expect(list []packet.Glimpse, near *[MaxExpect]Near) {
	var home [MaxExpect]uint32
	var at [MaxExpect]uintptr
	var k key
	list = list[:min(len(list), MaxExpect)]
	slots, slab := uintptr(unsafe.Pointer(&t.slots[0])), uintptr(unsafe.Pointer(&t.slab[0]))
	for i := range list {
		at[i] = slots
		if g := &list[i]; g.Proto != 0 {
			k.glimpsed(g)
			home[i] = uint32(t.hash.sum(&k) >> 32 >> t.shift)
			at[i] += uintptr(home[i]) * unsafe.Sizeof(t.slots[0])
		}
	}
	prefetch.Each(at[:len(list)], 1)
	for i := range list {
		near[i] = Near(t.slots[home[i]])
		at[i] = slab + uintptr(max(near[i], 1)-1)*unsafe.Sizeof(t.slab[0])
	}
	prefetch.Each(at[:len(list)], nearLines)
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
