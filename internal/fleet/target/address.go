package target

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// addresses are the addresses of all peels in their order, so that those of a
// network stand side by side.
type addresses struct {
	sorted []address
	fresh  []address // not sorted yet
}

// address is an address of a peel. IPv4 is mapped into IPv6.
type address struct {
	addr [16]byte
	peel uint32
}

// nobody is the peel of an address that was taken out.
const nobody = ^uint32(0)

func (a *addresses) add(text string, peel uint32) {
	if addr, ok := parseAddress(text); ok {
		a.fresh = append(a.fresh, address{addr.As16(), peel})
	}
}

func (a *addresses) del(text string, peel uint32) {
	addr, ok := parseAddress(text)
	if !ok {
		return
	}
	if len(a.fresh) > 8*loose {
		a.settle()
	}
	gone := address{addr.As16(), peel}
	if n := slices.Index(a.fresh, gone); n >= 0 {
		a.fresh = slices.Delete(a.fresh, n, n+1)
		return
	}
	for n := a.from(gone.addr); n < len(a.sorted) && a.sorted[n].addr == gone.addr; n++ {
		if a.sorted[n].peel == peel {
			a.sorted[n].peel = nobody
			return
		}
	}
}

// from is the place of the first address that is not below addr.
func (a *addresses) from(addr [16]byte) int {
	return sort.Search(len(a.sorted), func(i int) bool { return bytes.Compare(a.sorted[i].addr[:], addr[:]) >= 0 })
}

func (a *addresses) settle() {
	a.sorted = slices.DeleteFunc(a.sorted, func(x address) bool { return x.peel == nobody })
	a.sorted = merge(a.sorted, a.fresh, func(x, y address) int {
		return cmp.Or(bytes.Compare(x.addr[:], y.addr[:]), cmp.Compare(x.peel, y.peel))
	})
	a.fresh = nil
}

// within adds the peels that have an address in a network. A network of IPv6
// does not hold the addresses of IPv4, though they are mapped into it.
func (a *addresses) within(p netip.Prefix, out posting.Bits) {
	first := p.Masked().Addr().As16()
	last := first
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for n := bits; n < 128; n++ {
		last[n/8] |= 0x80 >> (n % 8)
	}
	from := a.from(first)
	to := from + sort.Search(len(a.sorted)-from, func(i int) bool { return bytes.Compare(a.sorted[from+i].addr[:], last[:]) > 0 })
	mapped := p.Addr().Is6() && bits < 96
	for _, x := range a.sorted[from:to] {
		if x.peel != nobody && (!mapped || !netip.AddrFrom16(x.addr).Is4In6()) {
			out.Add(x.peel)
		}
	}
	for _, x := range a.fresh {
		if p.Contains(netip.AddrFrom16(x.addr).Unmap()) {
			out.Add(x.peel)
		}
	}
}
