package target

import "github.com/rind-project/rind/internal/fleet/target/posting"

// room lends the sets that a question works with, and takes them all back at
// its end, so that questions make next to no garbage.
type room struct {
	sets []posting.Bits
	lent int
}

// empty lends an empty set of a number of words.
func (r *room) empty(words int) posting.Bits {
	b := r.lend(words)
	clear(b)
	return b
}

// copy lends a set that is like another.
func (r *room) copy(of posting.Bits) posting.Bits {
	b := r.lend(len(of))
	copy(b, of)
	return b
}

func (r *room) lend(words int) posting.Bits {
	if r.lent == len(r.sets) {
		r.sets = append(r.sets, nil)
	}
	if cap(r.sets[r.lent]) < words {
		r.sets[r.lent] = make(posting.Bits, words, words+words/8)
	}
	b := r.sets[r.lent][:words]
	r.lent++
	return b
}
