package target

import (
	"cmp"
	"context"
	"slices"

	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// question is an expression on its way through the index.
type question struct {
	index  *Index
	room   *room
	part   *Subset // nil is all
	view   *view
	last   bool // everything is done under the lock now
	values map[*fact]*valueScan
	peels  map[*term]*peelScan
	wanted []func(context.Context) error // to be done without the lock
}

// eval returns those of the candidates that match. The candidates stay as they
// are. For maybe see node.
func (q *question) eval(n node, candidates posting.Bits, maybe bool) posting.Bits {
	switch n := n.(type) {
	case *and:
		parts := q.cheapFirst(n.parts)
		left := q.eval(parts[0], candidates, maybe)
		for _, p := range parts[1:] {
			if left.Empty() {
				break
			}
			left = q.eval(p, left, maybe)
		}
		return left
	case *or:
		rest := q.room.copy(candidates)
		out := q.room.empty(len(candidates))
		for _, p := range q.cheapFirst(n.parts) {
			found := q.eval(p, rest, maybe)
			out.Or(found)
			rest.AndNot(found)
		}
		return out
	case *not:
		out := q.room.copy(candidates)
		out.AndNot(q.eval(n.part, candidates, !maybe))
		return out
	case *group:
		return q.eval(n.inner, candidates, maybe)
	case *term:
		return q.term(n, candidates, maybe)
	}
	return nil
}

func (q *question) cheapFirst(parts []node) []node {
	out := slices.Clone(parts)
	slices.SortStableFunc(out, func(a, b node) int { return cmp.Compare(q.cost(a), q.cost(b)) })
	return out
}

// few is how many distinct values are looked at under the lock, and how many
// peels are asked one by one.
const few = 1024

// cost ranks the parts of an expression: what narrows the candidates for little
// comes first.
func (q *question) cost(n node) int {
	worst := 0
	visitTerms(n, func(t *term) {
		c := 0
		switch t := t.test.(type) {
		case *fact:
			c = 1
			if col := q.index.columns[t.key]; t.at != nowhere || col != nil && !col.direct(&t.cond) {
				c = 5
			}
		case *subnet:
			c = 2
		case *idGlob:
			c = 3
			if _, _, between := t.ends(); len(between) > 1 {
				c = 4
			}
		case *idRegexp:
			c = 6
		case *setting:
			c = 7
		}
		worst = max(worst, c)
	})
	return worst
}

// term returns those of the candidates of which a term is true.
func (q *question) term(t *term, candidates posting.Bits, maybe bool) posting.Bits {
	x := q.index
	out := q.room.empty(len(candidates))
	switch test := t.test.(type) {
	case *idList:
		for _, id := range test.ids {
			if n, ok := x.nums[id]; ok {
				out.Add(n)
			}
		}
	case *idGlob:
		return q.idGlob(t, test, candidates)
	case *idRegexp:
		if test.prefix != "" {
			q.places(out, test.prefix, "", candidates)
			return q.ask1(t, out)
		}
		return q.ask1(t, candidates)
	case *setting:
		return q.ask1(t, candidates)
	case *subnet:
		if c := x.columns[addressKey]; c != nil {
			c.addresses.within(test.prefix, out)
		}
	case *fact:
		out = q.fact(t, test, candidates)
	}
	out.And(candidates)
	if _, byID := t.test.(*idList); maybe && !byID {
		unknown := q.room.copy(x.unknown)
		unknown.And(candidates)
		out.Or(unknown)
	}
	return out
}

// places adds the candidates whose ids begin and end with texts. It goes
// through them, or through the ids, whichever are fewer.
func (q *question) places(out posting.Bits, prefix, suffix string, candidates posting.Bits) {
	v := q.view
	from, to := v.withPrefix(prefix)
	first, last := v.withSuffix(suffix)
	switch {
	case candidates.Count() <= min(to-from, last-first):
		for n := range candidates.All {
			if at, end := int(v.ranks[n]), int(v.ends[n]); at >= from && at < to && end >= first && end < last {
				out.Add(n)
			}
		}
		return
	case to-from <= last-first:
		for _, n := range v.nums[from:to] {
			if end := int(v.ends[n]); end >= first && end < last {
				out.Add(n)
			}
		}
	default:
		for _, place := range v.tails[first:last] {
			if at := int(place); at >= from && at < to {
				out.Add(v.nums[at])
			}
		}
	}
	out.And(candidates)
}

func (q *question) idGlob(t *term, g *idGlob, candidates posting.Bits) posting.Bits {
	prefix, suffix, between := g.ends()
	switch {
	case g.any():
		return q.room.copy(candidates)
	case candidates.Count() <= few:
		return q.ask1(t, candidates)
	}
	out := q.room.empty(len(candidates))
	if len(between) == 0 {
		if n, ok := q.index.nums[typed(prefix)]; ok {
			out.Add(n)
		}
		out.And(candidates)
		return out
	}
	q.places(out, prefix, suffix, candidates)
	if len(between) > 1 || between[0].kind != star {
		return q.ask1(t, out)
	}
	if prefix != "" && suffix != "" {
		for n := range out.All {
			if len(q.index.ids[n]) < len(prefix)+len(suffix) {
				out.Del(n)
			}
		}
	}
	return out
}

// fact returns the peels of whose facts a test is true.
func (q *question) fact(t *term, f *fact, candidates posting.Bits) posting.Bits {
	out := q.room.empty(len(candidates))
	c := q.index.columns[f.key]
	if c == nil {
		return out
	}
	if f.at != nowhere { // the sets know values, not their places in lists
		out.Or(c.has)
		out.And(candidates)
		return q.ask1(t, out)
	}
	if !c.direct(&f.cond) && q.values[f] == nil && !q.last && candidates.Count() <= few {
		return q.ask1(t, candidates)
	}
	if !q.valuesOf(c, f, candidates, out) {
		return out
	}
	if f.negate {
		has := q.room.empty(len(candidates))
		has.Or(c.has)
		has.AndNot(out)
		return has
	}
	return out
}

// ask1 asks candidates one by one: here when they are few, otherwise without
// the lock.
func (q *question) ask1(t *term, candidates posting.Bits) posting.Bits {
	x := q.index
	out := q.room.empty(len(candidates))
	rest := q.room.copy(candidates)
	if s := q.peels[t]; s != nil && s.view == q.view {
		out.Or(s.found)
		out.And(candidates)
		rest.AndNot(s.asked)
	}
	if !q.last && rest.Count() > few {
		q.wantPeels(t, rest)
		return out
	}
	for n := range rest.All {
		if yes, _ := t.test.ask(&subject{id: x.ids[n], facts: x.facts[n], settings: x.settings}); yes {
			out.Add(n)
		}
	}
	return out
}
