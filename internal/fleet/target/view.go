package target

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// view is the ids in their order. It never changes once it is made. Peels that
// were removed since are still in it; no set of peels has them.
type view struct {
	ids   []fleet.PeelID // sorted
	nums  []uint32       // the number of each of ids
	tails []uint32       // places in ids, sorted by the ids read backwards
	ranks []uint32       // by number: the place in ids
	ends  []uint32       // by number: the place in tails
}

// extend makes the view with further peels, and without those that keep
// refuses.
func (v *view) extend(added []uint32, id func(uint32) fleet.PeelID, space int, keep func(uint32) bool) *view {
	type entry struct {
		id  fleet.PeelID
		num uint32
	}
	old := make([]entry, 0, len(v.ids))
	for i, n := range v.nums {
		if keep(n) {
			old = append(old, entry{v.ids[i], n})
		}
	}
	fresh := make([]entry, len(added))
	for i, n := range added {
		fresh[i] = entry{id(n), n}
	}
	all := merge(old, fresh, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	out := &view{ids: make([]fleet.PeelID, len(all)), nums: make([]uint32, len(all)), ranks: make([]uint32, space)}
	for i, e := range all {
		out.ids[i], out.nums[i], out.ranks[e.num] = e.id, e.num, uint32(i)
	}
	tails := make([]uint32, 0, len(all))
	for _, at := range v.tails {
		if n := v.nums[at]; keep(n) {
			tails = append(tails, out.ranks[n])
		}
	}
	more := make([]uint32, len(added))
	for i, n := range added {
		more[i] = out.ranks[n]
	}
	out.tails = merge(tails, more, func(a, b uint32) int { return compareBackwards(out.ids[a], out.ids[b]) })
	out.ends = make([]uint32, space)
	for i, at := range out.tails {
		out.ends[out.nums[at]] = uint32(i)
	}
	return out
}

func compareBackwards(a, b fleet.PeelID) int {
	for i := 1; i <= len(a) && i <= len(b); i++ {
		if x, y := a[len(a)-i], b[len(b)-i]; x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

// behind is the place of the first id behind one.
func (v *view) behind(id fleet.PeelID) int {
	return sort.Search(len(v.ids), func(i int) bool { return v.ids[i] > id })
}

// withPrefix is the range of places of ids that begin with a text.
func (v *view) withPrefix(prefix string) (from, to int) {
	from, _ = slices.BinarySearch(v.ids, fleet.PeelID(prefix))
	to = from + sort.Search(len(v.ids)-from, func(i int) bool { return !strings.HasPrefix(string(v.ids[from+i]), prefix) })
	return from, to
}

// withSuffix is the range of places in tails of ids that end with a text.
func (v *view) withSuffix(suffix string) (from, to int) {
	if suffix == "" {
		return 0, len(v.tails)
	}
	s := fleet.PeelID(suffix)
	from = sort.Search(len(v.tails), func(i int) bool { return compareBackwards(v.ids[v.tails[i]], s) >= 0 })
	to = from + sort.Search(len(v.tails)-from, func(i int) bool { return !strings.HasSuffix(string(v.ids[v.tails[from+i]]), suffix) })
	return from, to
}

// sorted appends the peels of a set behind the place from, at most limit when
// that is above zero.
func (v *view) sorted(to []fleet.PeelID, set posting.Bits, r *room, from, limit int) []fleet.PeelID {
	places := r.empty((len(v.ids) + 63) / 64)
	n := 0
	for num := range set.All {
		if at := v.ranks[num]; int(at) >= from {
			places.Add(at)
			n++
		}
	}
	if limit > 0 {
		n = min(n, limit)
	}
	if n == 0 {
		return to
	}
	if to == nil {
		to = make([]fleet.PeelID, 0, n)
	}
	for at := range places.All {
		if n == 0 {
			break
		}
		to = append(to, v.ids[at])
		n--
	}
	return to
}
