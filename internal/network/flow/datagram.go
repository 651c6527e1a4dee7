package flow

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/rind-project/rind/internal/network/packet"
)

const (
	partBlock  = 4 << 10 // bytes of a datagram that are kept together
	maxPacket  = 64 << 10
	partUnit   = 8 // of a fragment's offset
	datagramOf = 4 // places in which the hash of a datagram puts it
)

// FragmentLimits bound the datagrams that are being put together. Zero values
// stand for the defaults.
type FragmentLimits struct {
	Datagrams int           // at once (1024)
	Bytes     int           // of all of them (16 MiB)
	Wait      time.Duration // for the parts of one, by the packets' times (30 s)
}

// DefaultFragmentLimits returns the defaults.
func DefaultFragmentLimits() FragmentLimits {
	return FragmentLimits{Datagrams: 1024, Bytes: 16 << 20, Wait: 30 * time.Second}
}

func (l FragmentLimits) orDefaults() FragmentLimits {
	def := DefaultFragmentLimits()
	if l.Datagrams <= 0 {
		l.Datagrams = def.Datagrams
	}
	if l.Bytes <= 0 {
		l.Bytes = def.Bytes
	}
	if l.Wait <= 0 {
		l.Wait = def.Wait
	}
	l.Datagrams = max(datagramOf, l.Datagrams&^(datagramOf-1))
	l.Bytes = min(max(l.Bytes, maxPacket), (1<<16-1)*partBlock)
	return l
}

// FragmentStats are counters since the start. Every fragment is in its flow,
// whatever becomes of the datagram.
type FragmentStats struct {
	Whole    uint64 // datagrams that were put together
	Overlaps uint64 // datagrams refused because parts overlap (RFC 5722), or contradict one another
	GivenUp  uint64 // datagrams whose parts did not all come, or that had to make room
	Skipped  uint64 // fragments that were not kept: cut by the capture, or of a refused datagram
	Bytes    uint64 // held now
}

// datagram is one that is being put together.
type datagram struct {
	k      key
	time   int64 // of the first part that was seen
	size   uint32
	units  uint32 // of 8 bytes that are there
	used   bool
	dead   bool // refused: its parts are not kept until its time is up
	blocks [maxPacket / partBlock]uint16
	have   [maxPacket / partUnit / 64]uint64
}

// datagrams is the bounded store. A datagram lies in one of datagramOf places
// that its key says.
type datagrams struct {
	limits FragmentLimits
	all    []datagram
	blocks []*[partBlock]byte // by number, from 1
	spare  []uint16
	max    int
	hand   int
	whole  []byte
	stats  FragmentStats
}

func newDatagrams(l FragmentLimits) *datagrams {
	return &datagrams{limits: l, all: make([]datagram, l.Datagrams), blocks: make([]*[partBlock]byte, 1), max: l.Bytes / partBlock}
}

// add keeps a part. whole is the datagram when this was the last part that was
// missing; kept is true when the part is held, or was held before.
func (d *datagrams) add(p *packet.Packet, k key, sum uint64) (whole []byte, kept bool) {
	n, offset := len(p.FragData), int(p.FragOffset)
	if p.FragData == nil || n == 0 || offset+n > maxPacket || p.MoreFrags && n%partUnit != 0 {
		d.stats.Skipped++
		return nil, false
	}
	g := d.find(k, sum, p.Time)
	if g.dead {
		d.stats.Skipped++
		return nil, false
	}
	switch end := uint32(offset + n); {
	case !p.MoreFrags && g.size != 0 && g.size != end, g.size != 0 && end > g.size, !p.MoreFrags && g.beyond(end):
		d.refuse(g)
		return nil, false
	case !p.MoreFrags:
		g.size = end
	}
	from, to := offset/partUnit, (offset+n+partUnit-1)/partUnit
	switch held := g.held(from, to); {
	case held == to-from && d.equal(g, offset, p.FragData):
		return nil, true // the same again
	case held != 0:
		d.refuse(g)
		return nil, false
	}
	if !d.store(g, offset, p.FragData) {
		d.giveUp(g)
		return nil, false
	}
	g.mark(from, to)
	if g.size == 0 || g.units != (g.size+partUnit-1)/partUnit {
		return nil, true
	}
	d.stats.Whole++
	whole = d.take(g)
	d.free(g)
	return whole, true
}

// find returns the datagram of a key, or a new one in the place of the oldest
// of those that could be here.
func (d *datagrams) find(k key, sum uint64, now int64) *datagram {
	set := d.all[int(sum>>32)%(len(d.all)/datagramOf)*datagramOf:][:datagramOf]
	place := &set[0]
	for i := range set {
		g := &set[i]
		if g.used && (now-g.time > int64(d.limits.Wait) || g.time-now > int64(d.limits.Wait)) {
			d.giveUp(g)
		}
		if g.used && g.k == k {
			return g
		}
		if place.used && (!g.used || g.time < place.time) {
			place = g
		}
	}
	if place.used {
		d.giveUp(place)
	}
	place.k, place.time, place.used = k, now, true
	return place
}

// held counts the units from from to to that are there.
func (g *datagram) held(from, to int) (n int) {
	for ; from < to; from = (from | 63) + 1 {
		n += bits.OnesCount64(g.have[from/64] & unitMask(from, to))
	}
	return n
}

func (g *datagram) mark(from, to int) {
	g.units += uint32(to - from)
	for ; from < to; from = (from | 63) + 1 {
		g.have[from/64] |= unitMask(from, to)
	}
}

// beyond reports whether there is something behind end.
func (g *datagram) beyond(end uint32) bool {
	return g.held(int(end+partUnit-1)/partUnit, maxPacket/partUnit) > 0
}

// unitMask has the bits of the word in which from lies, from there up to to.
func unitMask(from, to int) uint64 {
	m := ^uint64(0) << (from % 64)
	if last := from | 63; to <= last {
		m &= ^uint64(0) >> (64 - to%64)
	}
	return m
}

// each calls visit with the part of block that each piece of n bytes from
// offset on lies in, as long as it returns true.
func (d *datagrams) each(g *datagram, offset, n int, visit func(block []byte, at int) bool) bool {
	for at := 0; at < n; {
		i, begin := (offset+at)/partBlock, (offset+at)%partBlock
		size := min(n-at, partBlock-begin)
		if g.blocks[i] == 0 && !d.block(g, i) {
			return false
		}
		if !visit(d.blocks[g.blocks[i]][begin:begin+size], at) {
			return false
		}
		at += size
	}
	return true
}

func (d *datagrams) store(g *datagram, offset int, b []byte) bool {
	return d.each(g, offset, len(b), func(block []byte, at int) bool { copy(block, b[at:]); return true })
}

func (d *datagrams) equal(g *datagram, offset int, b []byte) bool {
	return d.each(g, offset, len(b), func(block []byte, at int) bool { return bytes.Equal(block, b[at:at+len(block)]) })
}

// take copies the datagram to one place.
func (d *datagrams) take(g *datagram) []byte {
	if d.whole == nil {
		d.whole = make([]byte, maxPacket)
	}
	d.each(g, 0, int(g.size), func(block []byte, at int) bool { copy(d.whole[at:], block); return true })
	return d.whole[:g.size]
}

// block gives the datagram a block. When there is none left, others go, in the
// order in which they lie, until one is free.
func (d *datagrams) block(g *datagram, i int) bool {
	for steps := 0; len(d.spare) == 0 && len(d.blocks) > d.max; steps++ {
		if steps == len(d.all) {
			return false
		}
		if d.hand = (d.hand + 1) % len(d.all); d.all[d.hand].used && &d.all[d.hand] != g {
			d.giveUp(&d.all[d.hand])
		}
	}
	if n := len(d.spare); n > 0 {
		g.blocks[i], d.spare = d.spare[n-1], d.spare[:n-1]
	} else {
		g.blocks[i] = uint16(len(d.blocks))
		d.blocks = append(d.blocks, new([partBlock]byte))
	}
	d.stats.Bytes += partBlock
	return true
}

// refuse gives up a datagram and remembers that it did (RFC 5722 section 3).
func (d *datagrams) refuse(g *datagram) {
	k, at := g.k, g.time
	d.stats.Overlaps++
	d.free(g)
	g.k, g.time, g.used, g.dead = k, at, true, true
}

func (d *datagrams) giveUp(g *datagram) {
	if !g.dead {
		d.stats.GivenUp++
	}
	d.free(g)
}

func (d *datagrams) free(g *datagram) {
	for _, b := range g.blocks {
		if b != 0 {
			d.spare = append(d.spare, b)
			d.stats.Bytes -= partBlock
		}
	}
	*g = datagram{}
}
