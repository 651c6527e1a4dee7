package target

import (
	"context"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// typed makes an id of what an expression says; it is looked up only.
func typed(id string) fleet.PeelID { return fleet.PeelID(id) }

// peelScan is what a term said of peels that were asked without the lock.
type peelScan struct {
	view         *view // while it is the same, numbers mean the same peels
	asked, found posting.Bits
}

// wantPeels plans to ask peels one by one. Their facts never change: others
// take their place.
func (q *question) wantPeels(t *term, which posting.Bits) {
	x := q.index
	s := &peelScan{view: q.view, asked: which, found: q.room.empty(len(which))}
	subjects := make([]subject, 0, which.Count())
	for n := range which.All {
		subjects = append(subjects, subject{id: x.ids[n], facts: x.facts[n], settings: x.settings})
	}
	q.wanted = append(q.wanted, func(ctx context.Context) error {
		i := 0
		for n := range which.All {
			if i%few == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if yes, _ := t.test.ask(&subjects[i]); yes {
				s.found.Add(n)
			}
			i++
		}
		if old := q.peels[t]; old != nil && old.view == s.view && len(old.asked) == len(s.asked) {
			s.asked.Or(old.asked)
			s.found.Or(old.found)
		}
		q.peels[t] = s
		return nil
	})
}

// valueScan is which of a column's values meet a condition, as found without
// the lock.
type valueScan struct {
	epoch                   int
	texts, numbers, moments scanned
}

// scanned are the first n values, and those of them that meet the condition.
type scanned struct {
	n   int
	yes []uint32
}

// direct reports whether a condition is answered without looking at many values.
func (c *column) direct(cond *condition) bool {
	if cond.op == is && cond.glob.any() || c.distinct() <= few {
		return true
	}
	if cond.op == is {
		_, _, between := cond.glob.ends()
		return len(between) == 0 && len(c.mixed) <= few
	}
	return cond.op != matches && c.texts.Len() <= few
}

// valuesOf adds the peels that have a value that meets a condition. It returns
// false when values have to be looked at first.
func (q *question) valuesOf(c *column, f *fact, candidates, out posting.Bits) bool {
	cond := &f.cond
	if cond.op == is && cond.glob.any() {
		out.Or(c.has)
		return true
	}
	for n := range c.flags {
		if cond.holds(leaf{kind: flagLeaf, n: int64(n)}) {
			c.flags[n].AddTo(out)
		}
	}
	if cond.op == is {
		if text, _, between := cond.glob.ends(); len(between) == 0 && len(c.mixed) <= few {
			c.exactly(cond, text, out)
			return true
		}
	}
	s := q.values[f]
	if s == nil || s.epoch != c.epoch {
		s = &valueScan{epoch: c.epoch}
		if !q.last && !c.direct(cond) {
			q.wantValues(c, f, s)
			return false
		}
	}
	for _, n := range s.texts.yes {
		c.sets[n].AddTo(out)
	}
	for n := s.texts.n; n < c.texts.Len(); n++ {
		if text := c.texts.Text(uint32(n)); cond.holds(leaf{kind: textLeaf, text: &text}) {
			c.sets[n].AddTo(out)
		}
	}
	q.meeting(c, &c.numbers, f, numberLeaf, s.numbers, candidates, out)
	q.meeting(c, &c.moments, f, momentLeaf, s.moments, candidates, out)
	return true
}

// meeting adds the peels with a whole number that meets a condition.
func (q *question) meeting(c *column, o *ordered, f *fact, kind leafKind, s scanned, candidates, out posting.Bits) {
	cond := &f.cond
	if cond.op != is && cond.op != matches {
		if lo, hi, ok := cond.span(kind); ok {
			have := q.room.copy(candidates)
			have.And(c.has)
			o.between(lo, hi, have, c.only(o), out)
		}
		return
	}
	for _, n := range s.yes {
		o.sets[n].AddTo(out)
	}
	for n := s.n; n < len(o.values); n++ {
		if cond.holds(leaf{kind: kind, n: o.values[n]}) {
			o.sets[n].AddTo(out)
		}
	}
}

// exactly adds the peels with a value that is the text, in either case, or that
// is the number which the text reads as. The text is in lower case.
func (c *column) exactly(cond *condition, text string, out posting.Bits) {
	if n, ok := c.texts.Find(text); ok {
		c.sets[n].AddTo(out)
	}
	for _, n := range c.mixed {
		if cond.glob.match(c.texts.Text(n)) {
			c.sets[n].AddTo(out)
		}
	}
	number, isNumber := int64(0), false
	if cond.number != nil {
		number, isNumber = cond.number.n, !cond.number.more
	} else if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		number, isNumber = n, strconv.FormatInt(n, 10) == text
	}
	if n, ok := c.numbers.index[number]; ok && isNumber {
		c.numbers.sets[n].AddTo(out)
	}
	if m := parseMoment(strings.ToUpper(text)); m != nil && cond.holds(leaf{kind: momentLeaf, n: *m}) {
		if n, ok := c.moments.index[*m]; ok {
			c.moments.sets[n].AddTo(out)
		}
	}
}

// wantValues plans to look at every value of a column. Values are added behind
// those that there are, and never changed.
func (q *question) wantValues(c *column, f *fact, s *valueScan) {
	texts, numbers, moments := c.texts.Texts(), c.numbers.values, c.moments.values
	if f.cond.op != is && f.cond.op != matches {
		numbers, moments = nil, nil
	}
	q.wanted = append(q.wanted, func(ctx context.Context) error {
		err := s.texts.scan(ctx, len(texts), func(n int) bool { return f.cond.holds(leaf{kind: textLeaf, text: &texts[n]}) })
		if err == nil {
			err = s.numbers.scan(ctx, len(numbers), func(n int) bool { return f.cond.holds(leaf{kind: numberLeaf, n: numbers[n]}) })
		}
		if err == nil {
			err = s.moments.scan(ctx, len(moments), func(n int) bool { return f.cond.holds(leaf{kind: momentLeaf, n: moments[n]}) })
		}
		q.values[f] = s
		return err
	})
}

func (s *scanned) scan(ctx context.Context, n int, holds func(int) bool) error {
	for i := range n {
		if i%few == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if holds(i) {
			s.yes = append(s.yes, uint32(i))
		}
	}
	s.n = n
	return nil
}
