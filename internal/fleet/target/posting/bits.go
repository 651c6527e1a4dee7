// Package posting holds sets of small numbers, and the dictionaries that give
// values their numbers. It is what the index of peels is made of: each value of
// a fact has the set of the peels that have it.
package posting

import "math/bits"

// Bits is a set of numbers as a bitmap. A number beyond its end is not in it.
type Bits []uint64

// NewBits makes an empty set for the numbers below n.
func NewBits(n int) Bits { return make(Bits, (n+63)/64) }

// Has reports whether n is in the set.
func (b Bits) Has(n uint32) bool {
	return int(n>>6) < len(b) && b[n>>6]&(1<<(n&63)) != 0
}

// Add puts n, which must lie before the end, into the set.
func (b Bits) Add(n uint32) { b[n>>6] |= 1 << (n & 63) }

// Del takes n out of the set.
func (b Bits) Del(n uint32) {
	if int(n>>6) < len(b) {
		b[n>>6] &^= 1 << (n & 63)
	}
}

// Grow returns the set with room for the numbers below n.
func (b Bits) Grow(n int) Bits {
	if words := (n + 63) / 64; words > len(b) {
		b = append(b, make(Bits, words-len(b))...)
	}
	return b
}

// Count returns how many numbers are in the set.
func (b Bits) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether no number is in the set.
func (b Bits) Empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

// And keeps what is in o too.
func (b Bits) And(o Bits) {
	n := min(len(b), len(o))
	for i, w := range o[:n] {
		b[i] &= w
	}
	clear(b[n:])
}

// Or adds what is in o, which must not be longer.
func (b Bits) Or(o Bits) {
	for i, w := range o {
		b[i] |= w
	}
}

// AndNot removes what is in o.
func (b Bits) AndNot(o Bits) {
	for i, w := range o[:min(len(b), len(o))] {
		b[i] &^= w
	}
}

// All yields the numbers from small to large.
func (b Bits) All(yield func(uint32) bool) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			if !yield(uint32(i<<6 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
