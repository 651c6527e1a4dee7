package target

import (
	"slices"

	"github.com/rind-project/rind/internal/fleet"
)

// Listed returns the ids that lists (L@) of the expression name, sorted, but
// for those below a not. Whoever lists an id means a peel, so that one which
// nobody has is worth telling; a glob may well match nobody.
func (e *Expr) Listed() []fleet.PeelID {
	ids := listed(e.root, nil)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func listed(n node, to []fleet.PeelID) []fleet.PeelID {
	var parts []node
	switch n := n.(type) {
	case *and:
		parts = n.parts
	case *or:
		parts = n.parts
	case *group:
		parts = []node{n.inner}
	case *term:
		if l, ok := n.test.(*idList); ok {
			return append(to, l.ids...)
		}
	}
	for _, p := range parts {
		to = listed(p, to)
	}
	return to
}
