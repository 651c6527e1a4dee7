package target

import (
	"context"

	"github.com/rind-project/rind/internal/fleet"
)

// Explain says of each term whether it is true of a peel, and what value
// satisfied it, in the order of the expression.
func (e *Expr) Explain(id fleet.PeelID, f *fleet.Facts, settings Settings) []fleet.TargetReason {
	s := &subject{id: id, facts: f, settings: settings}
	var out []fleet.TargetReason
	e.terms(func(t *term) {
		yes, known := t.test.ask(s)
		out = append(out, fleet.TargetReason{Term: t.text, Matched: yes, Unknown: !known, Values: t.test.why(s, yes)})
	})
	return out
}

// Test finds who matches and why: a page of the peels with the reasons of each,
// and how many peels each term is true of by itself.
func (x *Index) Test(ctx context.Context, e *Expr, after fleet.PeelID, limit int) (fleet.TargetTest, error) {
	return x.test(ctx, nil, e, after, limit)
}

func (x *Index) test(ctx context.Context, part *Subset, e *Expr, after fleet.PeelID, limit int) (fleet.TargetTest, error) {
	r, err := x.prepare(e)
	if err != nil {
		return fleet.TargetTest{}, err
	}
	ids, total, err := x.query(ctx, part, e, after, limit)
	if err != nil {
		return fleet.TargetTest{}, err
	}
	peels := x.Len()
	if part != nil {
		peels = part.Len()
	}
	out := fleet.TargetTest{Target: e.text, Peels: peels, Matched: total, Terms: []fleet.TargetTerm{}, Matches: []fleet.TargetMatch{}}
	r.terms(func(t *term) {
		if err != nil {
			return
		}
		var n int
		_, n, err = x.query(ctx, part, &Expr{text: t.text, root: t, count: count{terms: 1}}, "", 1)
		out.Terms = append(out.Terms, fleet.TargetTerm{Term: t.text, Matched: n})
	})
	for _, id := range ids {
		if f, ok := x.Facts(id); ok {
			out.Matches = append(out.Matches, fleet.TargetMatch{ID: id, Reasons: r.Explain(id, f, x.settings)})
		}
	}
	return out, err
}
