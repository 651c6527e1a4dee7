package target

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// column holds the values of one key: of each distinct value the set of the
// peels that have it.
type column struct {
	number  uint64
	has     posting.Bits // the peels that have the key
	flags   [2]posting.Set
	texts   *posting.Dict
	sets    []posting.Set // by text
	mixed   []uint32      // texts that have capitals
	dead    int           // texts that no peel has
	numbers ordered
	moments ordered
	epoch   int // counts how often values were numbered anew

	addressed bool // the texts are addresses
	addresses []address
	covered   int // texts that addresses has
}

// address is an address with the number of the text that it stands in. IPv4 is
// mapped into IPv6.
type address struct {
	addr [16]byte
	text uint32
}

// ordered holds whole numbers, and their order.
type ordered struct {
	values []int64
	index  map[int64]uint32
	sets   []posting.Set
	order  []uint32 // the first len(order) values from small to large
	dead   int
}

// loose is how many values an order may lack before it is completed.
const loose = 512

func newColumn(key string, number int) *column {
	return &column{number: uint64(number), texts: posting.NewDict(), addressed: key == addressKey}
}

// A ref names a value of a column: column, kind, number of the value.
type ref uint64

func makeRef(column uint64, kind leafKind, value uint32) ref {
	return ref(column<<40 | uint64(kind)<<32 | uint64(value))
}

func (r ref) column() uint64 { return uint64(r) >> 40 }

// ref names a leaf, and makes the text the same string for all who have it.
func (c *column) ref(l leaf) ref {
	n := uint32(l.n)
	switch l.kind {
	case textLeaf:
		n = c.texts.Add(*l.text)
		if int(n) == len(c.sets) {
			c.sets = append(c.sets, posting.Set{})
			c.dead++
			if strings.ContainsFunc(*l.text, func(r rune) bool { return r >= 'A' && r <= 'Z' }) {
				c.mixed = append(c.mixed, n)
			}
		}
	case numberLeaf:
		n = c.numbers.add(l.n)
	case momentLeaf:
		n = c.moments.add(l.n)
	}
	return makeRef(c.number, l.kind, n)
}

// set is the set of a ref, with the count of the sets of its kind that are empty.
func (c *column) set(r ref) (s *posting.Set, dead *int) {
	n := uint32(r)
	switch leafKind(r >> 32 & 0xff) {
	case textLeaf:
		return &c.sets[n], &c.dead
	case numberLeaf:
		return &c.numbers.sets[n], &c.numbers.dead
	case momentLeaf:
		return &c.moments.sets[n], &c.moments.dead
	}
	return &c.flags[n], new(int)
}

func (c *column) add(r ref, peel uint32) {
	s, dead := c.set(r)
	if s.Len() == 0 {
		*dead--
	}
	s.Add(peel)
	c.has = c.has.Grow(int(peel) + 1)
	c.has.Add(peel)
}

func (c *column) del(r ref, peel uint32) {
	s, dead := c.set(r)
	s.Del(peel)
	if s.Len() == 0 {
		*dead++
	}
}

// distinct is how many values there are, with those that no peel has any more.
func (c *column) distinct() int {
	return c.texts.Len() + len(c.numbers.values) + len(c.moments.values)
}

// compact numbers the values anew when most are of no peel any more.
func (c *column) compact() {
	const few = 1024
	if c.dead > few && 2*c.dead > len(c.sets) {
		c.epoch++
		old, sets := c.texts, c.sets
		c.texts, c.sets, c.mixed, c.dead = posting.NewDict(), nil, nil, 0
		c.addresses, c.covered = nil, 0
		for n, s := range sets {
			if s.Len() > 0 {
				text := old.Text(uint32(n))
				at := uint32(c.ref(leaf{kind: textLeaf, text: &text}))
				c.sets[at] = s
			}
		}
		c.dead = 0
	}
	for _, o := range []*ordered{&c.numbers, &c.moments} {
		if o.dead > few && 2*o.dead > len(o.sets) {
			c.epoch++
			old := *o
			*o = ordered{}
			for n, s := range old.sets {
				if s.Len() > 0 {
					at := o.add(old.values[n])
					o.sets[at] = s
				}
			}
			o.dead = 0
		}
	}
}

// loose reports whether an order lacks so much that it slows questions down.
func (c *column) loose() bool {
	return len(c.numbers.values)-len(c.numbers.order) > loose || len(c.moments.values)-len(c.moments.order) > loose ||
		c.addressed && c.texts.Len()-c.covered > loose
}

// settle completes the orders.
func (c *column) settle() {
	c.numbers.settle()
	c.moments.settle()
	if !c.addressed {
		return
	}
	var fresh []address
	for ; c.covered < c.texts.Len(); c.covered++ {
		if a, ok := parseAddress(c.texts.Text(uint32(c.covered))); ok {
			fresh = append(fresh, address{addr: a.As16(), text: uint32(c.covered)})
		}
	}
	c.addresses = merge(c.addresses, fresh, func(a, b address) int {
		return cmp.Or(slices.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.text, b.text))
	})
}

func (o *ordered) add(v int64) uint32 {
	n, known := o.index[v]
	if !known {
		if o.index == nil {
			o.index = map[int64]uint32{}
		}
		n = uint32(len(o.values))
		o.values, o.sets = append(o.values, v), append(o.sets, posting.Set{})
		o.index[v] = n
		o.dead++
	}
	return n
}

func (o *ordered) settle() {
	if len(o.order) == len(o.values) {
		return
	}
	fresh := make([]uint32, 0, len(o.values)-len(o.order))
	for n := len(o.order); n < len(o.values); n++ {
		fresh = append(fresh, uint32(n))
	}
	o.order = merge(o.order, fresh, func(a, b uint32) int { return cmp.Compare(o.values[a], o.values[b]) })
}

// between adds the peels that have a value from lo to hi.
func (o *ordered) between(lo, hi int64, out posting.Bits) {
	from := sort.Search(len(o.order), func(i int) bool { return o.values[o.order[i]] >= lo })
	for _, n := range o.order[from:] {
		if o.values[n] > hi {
			break
		}
		o.sets[n].AddTo(out)
	}
	for n := len(o.order); n < len(o.values); n++ {
		if v := o.values[n]; v >= lo && v <= hi {
			o.sets[n].AddTo(out)
		}
	}
}

// within adds the peels that have an address in a network. A network of IPv6
// does not hold what is mapped into it.
func (c *column) within(p netip.Prefix, out posting.Bits) {
	first := p.Addr().As16()
	from := sort.Search(len(c.addresses), func(i int) bool { return slices.Compare(c.addresses[i].addr[:], first[:]) >= 0 })
	for _, a := range c.addresses[from:] {
		addr := netip.AddrFrom16(a.addr).Unmap()
		if p.Contains(addr) {
			c.sets[a.text].AddTo(out)
		} else if addr.Is4() == p.Addr().Is4() || p.Addr().Is4() {
			break
		}
	}
	for n := c.covered; n < c.texts.Len(); n++ {
		if a, ok := parseAddress(c.texts.Text(uint32(n))); ok && p.Contains(a) {
			c.sets[n].AddTo(out)
		}
	}
}

// merge sorts fresh, and makes one list of it and of what is sorted already.
func merge[T any](sorted, fresh []T, order func(a, b T) int) []T {
	slices.SortFunc(fresh, order)
	if len(sorted) == 0 {
		return fresh
	}
	out := make([]T, 0, len(sorted)+len(fresh))
	for len(sorted) > 0 && len(fresh) > 0 {
		if order(fresh[0], sorted[0]) < 0 {
			out, fresh = append(out, fresh[0]), fresh[1:]
		} else {
			out, sorted = append(out, sorted[0]), sorted[1:]
		}
	}
	return append(append(out, sorted...), fresh...)
}
