package reassembly

import "github.com/rind-project/rind/internal/network/packet/parse"

// classes are the sizes of buffers.
var classes = [...]int{512, 2048, parse.MaxBuffer}

// buffers hands out memory of three sizes, up to a sum.
type buffers struct {
	free  [len(classes)][][]byte
	total int // bytes made, in use or free
	used  int
	max   int
}

// class returns the smallest class of n bytes, which are at most MaxBuffer.
func class(n int) int {
	for i, size := range classes {
		if n <= size {
			return i
		}
	}
	return -1
}

// get returns an empty buffer with room for n bytes, or nil when there is none.
func (p *buffers) get(n int) []byte {
	c := class(n)
	if c < 0 {
		return nil
	}
	if k := len(p.free[c]); k > 0 {
		b := p.free[c][k-1]
		p.free[c] = p.free[c][:k-1]
		p.used += classes[c]
		return b
	}
	if p.used+classes[c] > p.max {
		return nil
	}
	p.trim(p.max - classes[c])
	p.total += classes[c]
	p.used += classes[c]
	return make([]byte, 0, classes[c])
}

// trim forgets free buffers until no more than limit bytes are made.
func (p *buffers) trim(limit int) {
	for c := len(classes) - 1; c >= 0; c-- {
		for k := len(p.free[c]); k > 0 && p.total > limit; k-- {
			p.free[c][k-1] = nil
			p.free[c] = p.free[c][:k-1]
			p.total -= classes[c]
		}
	}
}

// put takes a buffer back.
func (p *buffers) put(b []byte) {
	if c := class(cap(b)); cap(b) > 0 {
		p.used -= classes[c]
		p.free[c] = append(p.free[c], b[:0])
	}
}
