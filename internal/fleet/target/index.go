package target

import (
	"slices"
	"sync"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// Index holds the peels that can be targeted and answers who matches. It is
// safe for concurrent use.
//
// Peels have numbers. Of each value of each fact it keeps the set of the peels
// that have it, so that a question is answered from sets and never by asking
// peel after peel. What has to look at many distinct values, such as a regular
// expression over addresses, does so without holding the lock.
type Index struct {
	groups   Groups
	settings Settings

	mu      sync.RWMutex
	nums    map[fleet.PeelID]uint32
	ids     []fleet.PeelID // by number
	facts   []*fleet.Facts // by number
	alive   posting.Bits
	unknown posting.Bits // alive, and of unknown facts
	columns map[string]*column
	byRef   []*column
	subsets []*Subset

	view  *view
	added []uint32 // not in the view yet
	freed []uint32 // in the view still
	free  []uint32 // numbers to use again

	rooms sync.Pool // of *room

	was, will []ref // of the peel that is put, kept to save allocations
}

// Option is a source that an index asks.
type Option func(*Index)

// WithGroups makes an index answer N@.
func WithGroups(g Groups) Option { return func(x *Index) { x.groups = g } }

// WithSettings makes an index answer I@.
func WithSettings(s Settings) Option { return func(x *Index) { x.settings = s } }

// NewIndex makes an empty index.
func NewIndex(options ...Option) *Index {
	x := &Index{nums: map[fleet.PeelID]uint32{}, columns: map[string]*column{}, view: &view{}}
	for _, o := range options {
		o(x)
	}
	return x
}

// Put adds a peel, or replaces its facts, which may be nil.
func (x *Index) Put(id fleet.PeelID, f *fleet.Facts) {
	f = clone(f)
	x.mu.Lock()
	defer x.mu.Unlock()
	num, known := x.nums[id]
	if !known {
		num = x.number(id)
	}
	x.replace(num, f)
}

// Remove takes a peel out.
func (x *Index) Remove(id fleet.PeelID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	num, known := x.nums[id]
	if !known {
		return
	}
	x.replace(num, nil)
	delete(x.nums, id)
	x.alive.Del(num)
	x.unknown.Del(num)
	for _, s := range x.subsets {
		s.drop(num)
	}
	if n := slices.Index(x.added, num); n >= 0 {
		x.added = slices.Delete(x.added, n, n+1)
		x.free = append(x.free, num)
		return
	}
	x.freed = append(x.freed, num)
}

// Len returns how many peels there are.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.nums)
}

// Facts returns what is known of a peel, which must not be changed, and whether
// it is in the index.
func (x *Index) Facts(id fleet.PeelID) (*fleet.Facts, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	num, ok := x.nums[id]
	if !ok {
		return nil, false
	}
	return x.facts[num], true
}

// number gives a new peel its number.
func (x *Index) number(id fleet.PeelID) uint32 {
	num := uint32(len(x.ids))
	if n := len(x.free); n > 0 {
		num, x.free = x.free[n-1], x.free[:n-1]
		x.ids[num] = id
	} else {
		x.ids, x.facts = append(x.ids, id), append(x.facts, nil)
		x.alive, x.unknown = x.alive.Grow(len(x.ids)), x.unknown.Grow(len(x.ids))
	}
	x.nums[id] = num
	x.alive.Add(num)
	x.added = append(x.added, num)
	return num
}

// replace exchanges the facts of a peel. Only what differs is touched.
func (x *Index) replace(num uint32, f *fleet.Facts) {
	x.was, x.will = x.refs(x.was[:0], x.facts[num]), x.refs(x.will[:0], f)
	x.facts[num] = f
	if f == nil {
		x.unknown.Add(num)
	} else {
		x.unknown.Del(num)
	}
	i := 0
	for _, r := range x.will {
		for i < len(x.was) && x.was[i] < r {
			x.drop(x.was[i], num)
			i++
		}
		if i < len(x.was) && x.was[i] == r {
			i++
		} else {
			x.byRef[r.column()].add(r, num)
		}
	}
	for _, r := range x.was[i:] {
		x.drop(r, num)
	}
	for _, r := range x.was {
		x.byRef[r.column()].compact()
	}
}

// drop takes a value from a peel, and the key with it when that was its last.
func (x *Index) drop(r ref, num uint32) {
	c := x.byRef[r.column()]
	c.del(r, num)
	at, _ := slices.BinarySearch(x.will, makeRef(c.number, 0, 0))
	if at == len(x.will) || x.will[at].column() != c.number {
		c.has.Del(num)
	}
}

// refs appends the refs of all values, sorted and each once. Texts become the
// ones that the columns hold, so that equal ones take memory once.
func (x *Index) refs(to []ref, f *fleet.Facts) []ref {
	if f == nil {
		return to
	}
	leaves(f, func(key string, _ place, l leaf) {
		c := x.columns[key]
		if c == nil {
			c = newColumn(key, len(x.byRef))
			x.columns[key] = c
			x.byRef = append(x.byRef, c)
		}
		r := c.ref(l)
		if l.kind == textLeaf {
			*l.text = c.texts.Text(uint32(r))
		}
		to = append(to, r)
	})
	slices.Sort(to)
	to = slices.Compact(to)
	for i := 1; i < len(to); i++ {
		if to[i]>>32 == to[i-1]>>32 {
			x.byRef[to[i].column()].severally(leafKind(to[i] >> 32 & 0xff))
		}
	}
	return to
}

// clone copies facts and their lists.
func clone(f *fleet.Facts) *fleet.Facts {
	if f == nil {
		return nil
	}
	c := *f
	c.Disks, c.Mounts = exact(f.Disks), exact(f.Mounts)
	c.Interfaces = exact(f.Interfaces)
	for i := range c.Interfaces {
		c.Interfaces[i].Addresses = exact(c.Interfaces[i].Addresses)
	}
	return &c
}

// exact copies a list without room behind it.
func exact[T any](s []T) []T {
	if s == nil {
		return nil
	}
	out := make([]T, len(s))
	copy(out, s)
	return out
}

// settle puts in order what a question needs, when too much is loose. It holds
// the lock for a moment only, and what it does is paid for by the many changes
// before it.
func (x *Index) settle(e *Expr) {
	keys := e.keys()
	x.mu.RLock()
	loose := len(x.added) > 0
	for _, k := range keys {
		c := x.columns[k]
		loose = loose || c != nil && c.loose()
	}
	x.mu.RUnlock()
	if !loose {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.added) > 0 {
		x.view = x.view.extend(x.added, func(n uint32) fleet.PeelID { return x.ids[n] }, len(x.ids), x.alive.Has)
		x.free = append(x.free, x.freed...)
		x.added, x.freed = nil, nil
	}
	for _, k := range keys {
		if c := x.columns[k]; c != nil && c.loose() {
			c.settle()
		}
	}
}

// keys are the keys of the facts that an expression asks for.
func (e *Expr) keys() []string {
	var out []string
	e.terms(func(t *term) {
		switch t := t.test.(type) {
		case *fact:
			out = append(out, t.key)
		case *subnet:
			out = append(out, addressKey)
		}
	})
	return out
}

// terms visits every term, also those of resolved groups.
func (e *Expr) terms(visit func(*term)) { visitTerms(e.root, visit) }

func visitTerms(n node, visit func(*term)) {
	switch n := n.(type) {
	case *and:
		for _, p := range n.parts {
			visitTerms(p, visit)
		}
	case *or:
		for _, p := range n.parts {
			visitTerms(p, visit)
		}
	case *not:
		visitTerms(n.part, visit)
	case *term:
		visit(n)
	case *group:
		if n.inner != nil {
			visitTerms(n.inner, visit)
		}
	}
}
