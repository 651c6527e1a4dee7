package report

// Grow is asked before memory of so many bytes is taken for a report. An error
// of it ends the decoding and is returned as it is.
type Grow func(bytes int) error

// budget accounts for the memory that a report takes, since what is small on
// the wire can be large in memory.
type budget struct {
	limit int
	grow  Grow // nil allows all
	used  int
	asked int   // of grow
	err   error // why memory was refused: stays
}

// growStep is the least that grow is asked for: lists are small and many.
const growStep = 64 << 10

// take reports whether memory may be taken.
func (b *budget) take(bytes int) bool {
	if b.err != nil {
		return false
	}
	if b.used += bytes; b.used > b.limit {
		b.err = tooLarge("it takes more than %d bytes of memory: send its rows in several reports", b.limit)
		return false
	}
	if b.grow != nil && b.used > b.asked {
		step := max(b.used-b.asked, growStep)
		b.asked += step
		b.err = b.grow(step)
	}
	return b.err == nil
}
