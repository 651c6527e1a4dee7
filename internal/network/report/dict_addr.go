package report

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// addrDict numbers addresses for an encoder. IPv6 addresses get a provisional
// number with the top bit set, since they come after all IPv4 ones. Most of
// encoding is looking up addresses, hence a table of its own; its hash has a
// secret seed, because addresses come from packets.
type addrDict struct {
	seed  [2]uint64
	slots []uint32 // index of a key, plus one; 0 is empty
	keys  []addrKey
	v4    []byte
	v6    []byte
}

type addrKey struct {
	hi, lo uint64
	number uint32 // without the top bit it also tells the families apart
}

const (
	sixth     = 1 << 31
	fewestKey = 1 << 10
)

func newAddrDict() addrDict {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return addrDict{
		seed:  [2]uint64{binary.LittleEndian.Uint64(b[:]) | 1, binary.LittleEndian.Uint64(b[8:]) | 1},
		slots: make([]uint32, 2*fewestKey),
	}
}

func (d *addrDict) reset() {
	clear(d.slots)
	d.keys, d.v4, d.v6 = d.keys[:0], d.v4[:0], d.v6[:0]
}

func (d *addrDict) add(a netip.Addr) uint32 {
	if !a.IsValid() {
		return 0
	}
	b, family := a.As16(), uint32(sixth)
	if a.Is4() {
		family = 0
	}
	hi, lo := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	i := d.home(hi, lo)
	for ; d.slots[i] != 0; i = (i + 1) & (len(d.slots) - 1) {
		if k := &d.keys[d.slots[i]-1]; k.lo == lo && k.hi == hi && k.number&sixth == family {
			return k.number
		}
	}
	var n uint32
	if family == 0 {
		d.v4 = append(d.v4, b[12:]...)
		n = uint32(len(d.v4) / 4)
	} else {
		d.v6 = append(d.v6, b[:]...)
		n = sixth | uint32(len(d.v6)/16)
	}
	d.keys = append(d.keys, addrKey{hi, lo, n})
	d.slots[i] = uint32(len(d.keys))
	if 2*len(d.keys) > len(d.slots) {
		d.grow()
	}
	return n
}

// home is where the search for a key begins.
func (d *addrDict) home(hi, lo uint64) int {
	h, l := bits.Mul64(lo^d.seed[0], hi^d.seed[1])
	return int((h ^ l) & uint64(len(d.slots)-1))
}

func (d *addrDict) grow() {
	d.slots = make([]uint32, 2*len(d.slots))
	for n, k := range d.keys {
		i := d.home(k.hi, k.lo)
		for d.slots[i] != 0 {
			i = (i + 1) & (len(d.slots) - 1)
		}
		d.slots[i] = uint32(n + 1)
	}
}
