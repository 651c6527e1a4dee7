package posting

import "hash/maphash"

// Dict numbers distinct texts in the order in which they come. Texts are never
// taken out and never change their place, so that what Texts returned may be
// read while others are added. The table beside the texts holds numbers only:
// at millions of texts a Go map would take several times as much.
type Dict struct {
	seed  maphash.Seed
	texts []string
	table []uint32 // number + 1 at the text's hash or behind it; 0 is free
}

// NewDict makes an empty dictionary.
func NewDict() *Dict { return &Dict{seed: maphash.MakeSeed()} }

// Len returns how many texts there are.
func (d *Dict) Len() int { return len(d.texts) }

// Text returns the text with a number.
func (d *Dict) Text(n uint32) string { return d.texts[n] }

// Texts returns all texts by number.
func (d *Dict) Texts() []string { return d.texts[:len(d.texts):len(d.texts)] }

// Find returns the number of a text.
func (d *Dict) Find(text string) (uint32, bool) {
	if len(d.table) == 0 {
		return 0, false
	}
	at := d.slot(text)
	return d.table[at] - 1, d.table[at] != 0
}

// Add returns the number of a text, which is new when it was not known.
func (d *Dict) Add(text string) uint32 {
	if 3*(len(d.texts)+1) > 2*len(d.table) {
		d.grow()
	}
	at := d.slot(text)
	if d.table[at] == 0 {
		d.texts = append(d.texts, text)
		d.table[at] = uint32(len(d.texts))
	}
	return d.table[at] - 1
}

// slot is where the text is, or where it would be put.
func (d *Dict) slot(text string) uint64 {
	mask := uint64(len(d.table) - 1)
	at := maphash.String(d.seed, text) & mask
	for d.table[at] != 0 && d.texts[d.table[at]-1] != text {
		at = (at + 1) & mask
	}
	return at
}

func (d *Dict) grow() {
	d.table = make([]uint32, max(16, 2*len(d.table)))
	mask := uint64(len(d.table) - 1)
	for n, text := range d.texts {
		at := maphash.String(d.seed, text) & mask
		for d.table[at] != 0 {
			at = (at + 1) & mask
		}
		d.table[at] = uint32(n) + 1
	}
}
