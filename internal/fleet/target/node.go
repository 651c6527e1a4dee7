package target

import "github.com/rind-project/rind/internal/fleet"

// node is a part of an expression.
type node interface {
	// match decides about one peel. maybe is the answer of a term of which
	// nothing is known: below an odd number of nots it is true, so that the
	// whole is true only when it is so whatever is not known (Kleene's logic).
	match(s *subject, maybe bool) bool
}

// subject is the peel that is asked about.
type subject struct {
	id       fleet.PeelID
	facts    *fleet.Facts // nil when not known
	settings Settings     // nil when not kept
}

// Settings tells the values of a setting of a peel: none when it has none. The
// key is dotted.
type Settings func(id fleet.PeelID, key string) []string

type (
	and struct{ parts []node }
	or  struct{ parts []node }
	not struct{ part node }
	// term is a test with the words that it was written in.
	term struct {
		text   string
		column int
		test   test
	}
	// group is a name for an expression.
	group struct {
		name   string
		column int
		inner  node // nil until it is resolved
	}
)

func (n *and) match(s *subject, maybe bool) bool {
	for _, p := range n.parts {
		if !p.match(s, maybe) {
			return false
		}
	}
	return true
}

func (n *or) match(s *subject, maybe bool) bool {
	for _, p := range n.parts {
		if p.match(s, maybe) {
			return true
		}
	}
	return false
}

func (n *not) match(s *subject, maybe bool) bool { return !n.part.match(s, !maybe) }

func (n *term) match(s *subject, maybe bool) bool {
	yes, known := n.test.ask(s)
	if !known {
		return maybe
	}
	return yes
}

func (n *group) match(s *subject, maybe bool) bool {
	if n.inner == nil {
		return maybe
	}
	return n.inner.match(s, maybe)
}

// test is what a term asks of a peel.
type test interface {
	ask(s *subject) (yes, known bool)
	// why returns the values that satisfied the test, or, when it failed, the
	// values that the peel has instead.
	why(s *subject, yes bool) []string
}
