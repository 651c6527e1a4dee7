package capture

import "math/bits"

// clock is how an interface of a pcapng file counts time: if_tsresol and
// if_tsoffset.
type clock struct {
	resolution uint8 // 10^-n seconds, or 2^-n when the top bit is set
	offset     int64 // seconds
}

// maxOffset is 146 years, which leaves room to add without an overflow.
const maxOffset = int64(maxUnixNano) / 2_000_000_000

var microseconds = clock{resolution: 6}

// nanos turns ticks into nanoseconds since 1970. What does not fit, which no
// real capture has, stays at the end of the scale.
func (c clock) nanos(ticks uint64) int64 {
	n := uint(c.resolution & 0x7f)
	var ns uint64
	switch {
	case c.resolution&0x80 != 0 && n >= 64:
	case c.resolution&0x80 != 0:
		hi, lo := bits.Mul64(ticks, 1e9)
		if hi>>n != 0 {
			return maxUnixNano
		}
		ns = lo>>n | hi<<(64-n)
	case n <= 9:
		hi, lo := bits.Mul64(ticks, power10(9-n))
		if hi != 0 {
			return maxUnixNano
		}
		ns = lo
	case n-9 < 20:
		ns = ticks / power10(n-9)
	}
	if c.offset > maxOffset || c.offset < 0 && ns < uint64(-c.offset)*1e9 || ns > maxUnixNano/2 {
		return int64(min(ns, maxUnixNano))
	}
	return int64(ns) + c.offset*1e9
}

func power10(n uint) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
