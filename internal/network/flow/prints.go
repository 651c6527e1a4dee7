package flow

import (
	"strconv"

	"github.com/rind-project/rind/internal/network/packet"
)

const (
	maxPrints  = 4096 // different ones in one report
	maxOptions = 40   // all that a header has room for
)

// syn is what a fingerprint is made of.
type syn struct {
	window, mss uint16
	scale, n    uint8
	kinds       [maxOptions]uint8
}

// prints numbers the fingerprints of one report. 0 is none.
type prints struct {
	index map[syn]uint16
	texts []string
	over  uint64
}

func newPrints() prints { return prints{index: map[syn]uint16{}, texts: []string{""}} }

// number returns the number of a SYN's fingerprint.
func (f *prints) number(p *packet.Packet) uint16 {
	var s syn
	s.read(p)
	if i, ok := f.index[s]; ok {
		return i
	}
	if len(f.texts) > maxPrints {
		f.over++
		return 0
	}
	i := uint16(len(f.texts))
	f.texts = append(f.texts, s.String())
	f.index[s] = i
	return i
}

// clear begins a new report.
func (f *prints) clear() {
	clear(f.index)
	clear(f.texts[1:])
	f.texts = f.texts[:1]
}

// read takes what counts from a SYN. Behind the end of the list each byte of
// padding counts as an option of kind 0, as JA4T does.
func (s *syn) read(p *packet.Packet) {
	s.window = p.Window
	for b := p.Options; len(b) > 0 && s.n < maxOptions; {
		s.kinds[s.n] = b[0]
		s.n++
		if b[0] <= 1 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return
		}
		switch {
		case b[0] == 2 && b[1] == 4:
			s.mss = uint16(b[2])<<8 | uint16(b[3])
		case b[0] == 3 && b[1] == 3:
			s.scale = b[2]
		}
		b = b[b[1]:]
	}
}

// String writes the fingerprint as JA4T does (github.com/FoxIO-LLC/ja4): the
// window, the kinds of the options in order, the segment size and the window's
// scale, "00" where there is none.
func (s *syn) String() string {
	b := strconv.AppendUint(make([]byte, 0, 48), uint64(s.window), 10)
	b = append(b, '_')
	for i, k := range s.kinds[:s.n] {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(k), 10)
	}
	if s.n == 0 {
		b = append(b, "00"...)
	}
	for _, v := range [...]uint16{s.mss, uint16(s.scale)} {
		if b = append(b, '_'); v == 0 {
			b = append(b, "00"...)
		} else {
			b = strconv.AppendUint(b, uint64(v), 10)
		}
	}
	return string(b)
}
