package posting

import "slices"

// Set is a set of numbers that takes little memory however many there are: one
// number stands in the set itself, few are a sorted list, many are a bitmap.
// The zero value is empty.
type Set struct {
	n    uint32 // how many
	one  uint32 // the number, when n is 1
	many *many  // when n is above 1
}

type many struct {
	list []uint32 // sorted; nil when bits is in use
	bits Bits
}

// A list that is longer than dense, and takes more than a bitmap, becomes one.
// Below half of that a bitmap becomes a list.
const dense = 256

// Len returns how many numbers are in the set.
func (s *Set) Len() int { return int(s.n) }

// Has reports whether n is in the set.
func (s *Set) Has(n uint32) bool {
	switch {
	case s.n == 0:
		return false
	case s.n == 1:
		return s.one == n
	case s.many.list != nil:
		_, ok := slices.BinarySearch(s.many.list, n)
		return ok
	}
	return s.many.bits.Has(n)
}

// Add puts n into the set.
func (s *Set) Add(n uint32) {
	switch {
	case s.n == 0:
		s.n, s.one = 1, n
	case s.n == 1:
		if s.one != n {
			s.many = &many{list: []uint32{min(s.one, n), max(s.one, n)}}
			s.n = 2
		}
	case s.many.list != nil:
		s.addToList(n)
	case !s.many.bits.Has(n):
		s.many.bits = s.many.bits.Grow(int(n) + 1)
		s.many.bits.Add(n)
		s.n++
	}
}

func (s *Set) addToList(n uint32) {
	list := s.many.list
	at := len(list)
	if list[at-1] >= n {
		var found bool
		if at, found = slices.BinarySearch(list, n); found {
			return
		}
	}
	s.many.list = slices.Insert(list, at, n)
	s.n++
	list = s.many.list
	if last := list[len(list)-1]; len(list) > dense && len(list) > int(last)/32 {
		b := NewBits(int(last) + 1)
		for _, x := range list {
			b.Add(x)
		}
		s.many.bits, s.many.list = b, nil
	}
}

// Del takes n out of the set.
func (s *Set) Del(n uint32) {
	if !s.Has(n) {
		return
	}
	s.n--
	if s.many == nil {
		return
	}
	if s.many.list != nil {
		at, _ := slices.BinarySearch(s.many.list, n)
		s.many.list = slices.Delete(s.many.list, at, at+1)
	} else {
		s.many.bits.Del(n)
		if int(s.n) <= max(dense/2, len(s.many.bits)) {
			s.many.list = slices.AppendSeq(make([]uint32, 0, s.n), s.many.bits.All)
			s.many.bits = nil
		}
	}
	if s.n == 1 {
		s.one, s.many = s.many.list[0], nil
	}
}

// AddTo adds the numbers to b, which must have room for them.
func (s *Set) AddTo(b Bits) {
	switch {
	case s.n == 0:
	case s.n == 1:
		b.Add(s.one)
	case s.many.list != nil:
		for _, n := range s.many.list {
			b.Add(n)
		}
	default:
		b.Or(s.many.bits)
	}
}

// DelFrom removes the numbers from b.
func (s *Set) DelFrom(b Bits) {
	switch {
	case s.n == 0:
	case s.n == 1:
		b.Del(s.one)
	case s.many.list != nil:
		for _, n := range s.many.list {
			b.Del(n)
		}
	default:
		b.AndNot(s.many.bits)
	}
}
