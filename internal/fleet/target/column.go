package target

import (
	"cmp"
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

	addresses *addresses // nil unless the texts are addresses
}

// ordered holds whole numbers, and their order.
type ordered struct {
	values []int64
	index  map[int64]uint32
	sets   []posting.Set
	order  []uint32 // the first len(order) values from small to large
	dead   int

	byPeel []int64 // the value of each peel that has one, unless several
	some   bool    // some peel had several values
}

// loose is how many values an order may lack before it is completed.
const loose = 512

func newColumn(key string, number int) *column {
	c := &column{number: uint64(number), texts: posting.NewDict()}
	if key == addressKey {
		c.addresses = &addresses{}
	}
	return c
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
	switch leafKind(r >> 32 & 0xff) {
	case textLeaf:
		if c.addresses != nil {
			c.addresses.add(c.texts.Text(uint32(r)), peel)
		}
	case numberLeaf:
		c.numbers.keep(peel, uint32(r))
	case momentLeaf:
		c.moments.keep(peel, uint32(r))
	}
	c.has = c.has.Grow(int(peel) + 1)
	c.has.Add(peel)
}

func (c *column) del(r ref, peel uint32) {
	s, dead := c.set(r)
	s.Del(peel)
	if s.Len() == 0 {
		*dead++
	}
	if c.addresses != nil && leafKind(r>>32&0xff) == textLeaf {
		c.addresses.del(c.texts.Text(uint32(r)), peel)
	}
}

// severally notes that a peel has several values of a kind.
func (c *column) severally(kind leafKind) {
	switch kind {
	case numberLeaf:
		c.numbers.severally()
	case momentLeaf:
		c.moments.severally()
	}
}

// only reports whether all values are of one kind, which has whole numbers.
func (c *column) only(o *ordered) bool {
	return c.distinct() == len(o.values) && c.flags[0].Len()+c.flags[1].Len() == 0
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
			*o = ordered{byPeel: old.byPeel, some: old.some}
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
		c.addresses != nil && len(c.addresses.fresh) > loose
}

// settle completes the orders.
func (c *column) settle() {
	c.numbers.settle()
	c.moments.settle()
	if c.addresses != nil {
		c.addresses.settle()
	}
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

// keep notes the value of a peel.
func (o *ordered) keep(peel, value uint32) {
	if o.some {
		return
	}
	if grow := int(peel) + 1 - len(o.byPeel); grow > 0 {
		o.byPeel = append(o.byPeel, make([]int64, grow)...)
	}
	o.byPeel[peel] = o.values[value]
}

// severally notes that a peel has several values, so that one does not do.
func (o *ordered) severally() { o.some, o.byPeel = true, nil }

// between adds the peels that have a value from lo to hi. Of the candidates all
// have a value, when ask is true: then they are asked when that is less work
// than to add up what lies between.
func (o *ordered) between(lo, hi int64, candidates posting.Bits, ask bool, out posting.Bits) {
	from := sort.Search(len(o.order), func(i int) bool { return o.values[o.order[i]] >= lo })
	to := from + sort.Search(len(o.order)-from, func(i int) bool { return o.values[o.order[from+i]] > hi })
	if ask && !o.some && candidates.Count() < 4*(to-from) {
		for n := range candidates.All {
			if v := o.byPeel[n]; v >= lo && v <= hi {
				out.Add(n)
			}
		}
		return
	}
	for _, n := range o.order[from:to] {
		o.sets[n].AddTo(out)
	}
	for n := len(o.order); n < len(o.values); n++ {
		if v := o.values[n]; v >= lo && v <= hi {
			o.sets[n].AddTo(out)
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
