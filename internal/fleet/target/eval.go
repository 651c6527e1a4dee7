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
		rest := append(posting.Bits(nil), candidates...)
		out := make(posting.Bits, len(candidates))
		for _, p := range q.cheapFirst(n.parts) {
			found := q.eval(p, rest, maybe)
			out.Or(found)
			rest.AndNot(found)
		}
		return out
	case *not:
		out := append(posting.Bits(nil), candidates...)
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
	out := make(posting.Bits, len(candidates))
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
			q.places(out, test.prefix, "")
			out.And(candidates)
			return q.ask1(t, out)
		}
		return q.ask1(t, candidates)
	case *setting:
		return q.ask1(t, candidates)
	case *subnet:
		if c := x.columns[addressKey]; c != nil {
			c.within(test.prefix, out)
		}
	case *fact:
		out = q.fact(t, test, candidates)
	}
	out.And(candidates)
	if _, byID := t.test.(*idList); maybe && !byID {
		unknown := append(posting.Bits(nil), x.unknown...)
		unknown.And(candidates)
		out.Or(unknown)
	}
	return out
}

// places adds the peels whose ids begin and end with texts.
func (q *question) places(out posting.Bits, prefix, suffix string) {
	if prefix != "" || suffix == "" {
		from, to := q.view.withPrefix(prefix)
		for _, n := range q.view.nums[from:to] {
			out.Add(n)
		}
		if suffix == "" {
			return
		}
	}
	ends := out
	if prefix != "" {
		ends = make(posting.Bits, len(out))
	}
	for _, at := range q.view.withSuffix(suffix) {
		ends.Add(q.view.nums[at])
	}
	if prefix != "" {
		out.And(ends)
	}
}

func (q *question) idGlob(t *term, g *idGlob, candidates posting.Bits) posting.Bits {
	prefix, suffix, between := g.ends()
	switch {
	case g.any():
		return append(posting.Bits(nil), candidates...)
	case candidates.Count() <= few:
		return q.ask1(t, candidates)
	}
	out := make(posting.Bits, len(candidates))
	if len(between) == 0 {
		if n, ok := q.index.nums[typed(prefix)]; ok {
			out.Add(n)
		}
		out.And(candidates)
		return out
	}
	q.places(out, prefix, suffix)
	out.And(candidates)
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
	out := make(posting.Bits, len(candidates))
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
	if !q.valuesOf(c, f, out) {
		return out
	}
	if f.negate {
		has := make(posting.Bits, len(candidates))
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
	out := make(posting.Bits, len(candidates))
	rest := append(posting.Bits(nil), candidates...)
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
