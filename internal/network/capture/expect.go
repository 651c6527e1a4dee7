package capture

import "github.com/rind-project/rind/internal/network/packet"

// maxExpect is how many records of a file are read at once, and shown ahead.
const maxExpect = 32

// Expecter is a Handler that is shown frames before they are handed to it, so
// that it can bring near what it needs for them. It is a hint: not all frames
// are shown, and none is counted.
type Expecter interface {
	Expect(link packet.LinkType, frames [][]byte)
}

// expect shows h the record in hand and those that were read with it, once.
func (f *File) expect(h Expecter) {
	f.fresh = false
	list := f.list[f.at-1 : f.read]
	if len(list) < 2 {
		return
	}
	n := 0
	for ; n < len(list) && list[n].link == list[0].link; n++ {
		f.ahead[n] = list[n].data
	}
	h.Expect(list[0].link, f.ahead[:n])
}
