package target

import (
	"context"
	"fmt"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// Select returns the peels that match, sorted, at most limit of them behind
// the id after. A limit of zero or less is none. Nobody matches an expression
// that cannot be answered; Query says why.
func (x *Index) Select(e *Expr, after fleet.PeelID, limit int) []fleet.PeelID {
	ids, _, err := x.Query(context.Background(), e, after, limit)
	if err != nil {
		return nil
	}
	return ids
}

// Query is Select with an error when the expression asks for what is not kept,
// or when the context ends. It also returns how many peels match in all.
func (x *Index) Query(ctx context.Context, e *Expr, after fleet.PeelID, limit int) (ids []fleet.PeelID, total int, err error) {
	return x.query(ctx, nil, e, after, limit)
}

// Append is Query for who asks often: it appends the peels to a list, which may
// have room for them already.
func (x *Index) Append(ctx context.Context, to []fleet.PeelID, e *Expr, after fleet.PeelID, limit int) ([]fleet.PeelID, error) {
	to, _, err := x.appendTo(ctx, to, nil, e, after, limit)
	return to, err
}

// query answers among the peels of a part, or of all when it is nil.
func (x *Index) query(ctx context.Context, part *Subset, e *Expr, after fleet.PeelID, limit int) (ids []fleet.PeelID, total int, err error) {
	return x.appendTo(ctx, nil, part, e, after, limit)
}

func (x *Index) appendTo(ctx context.Context, to []fleet.PeelID, part *Subset, e *Expr, after fleet.PeelID, limit int) (ids []fleet.PeelID, total int, err error) {
	if e, err = x.prepare(e); err != nil {
		return to, 0, err
	}
	r, _ := x.rooms.Get().(*room)
	if r == nil {
		r = &room{}
	}
	defer func() {
		r.lent = 0
		x.rooms.Put(r)
	}()
	set, v, err := x.answer(ctx, r, part, e)
	if err != nil {
		return to, 0, err
	}
	from := 0
	if after != "" {
		from = v.behind(after)
	}
	return v.sorted(to, set, r, from, limit), set.Count(), nil
}

// prepare resolves named groups, and refuses what has no source.
func (x *Index) prepare(e *Expr) (*Expr, error) {
	r, err := e.Resolve(x.groups)
	if err != nil || x.settings != nil {
		return r, err
	}
	if column := r.SettingColumn(); column > 0 {
		return nil, errs.New(errs.Unavailable, "%w", &SyntaxError{Expr: e.text, Column: column, Msg: "settings are not kept here, so that nobody can be chosen by them"})
	}
	return r, nil
}

// stale is how often what was found without the lock may be out of date before
// everything is looked for under the lock. Otherwise each round does a term.
const stale = 4

// answer finds the set of the peels that match, and the view that has them all.
func (x *Index) answer(ctx context.Context, r *room, part *Subset, e *Expr) (posting.Bits, *view, error) {
	q := &question{index: x, room: r, part: part, values: map[*fact]*valueScan{}, peels: map[*term]*peelScan{}}
	for round := 0; ; round++ {
		if err := ctx.Err(); err != nil {
			return nil, nil, fmt.Errorf("looking for the peels that match %q: %w", e.text, err)
		}
		x.settle(e)
		q.last = round >= stale+e.count.terms
		if set := q.ask(e.root); len(q.wanted) == 0 {
			return set, q.view, nil
		}
		for _, scan := range q.wanted {
			if err := scan(ctx); err != nil {
				return nil, nil, fmt.Errorf("looking for the peels that match %q: %w", e.text, err)
			}
		}
	}
}

// ask answers under the lock. When wanted is not empty afterwards, the answer is
// not to be used.
func (q *question) ask(root node) posting.Bits {
	x := q.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	q.view, q.wanted = x.view, nil
	all := q.room.copy(x.alive)
	for _, n := range x.added { // since the view was made
		all.Del(n)
	}
	if q.part != nil {
		all.And(q.part.in)
	}
	return q.eval(root, all, false)
}
