package report

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

// Fields of the health message: how short the tap is of what it needs.
const (
	fieldRingUsed protowire.Number = iota + 11
	fieldRingFull
	fieldSpoolAge
	fieldClockSkew
)

// maxLong is about the longest time that a time.Duration holds.
const maxLong = 9_200_000_000_000_000

func appendState(b []byte, h *network.Health) []byte {
	b = appendUint(b, fieldRingUsed, h.RingUsed)
	b = appendUint(b, fieldRingFull, h.RingFull)
	b = appendUint(b, fieldSpoolAge, uint64(min(max(h.SpoolAge.Microseconds(), 0), maxLong)))
	return appendUint(b, fieldClockSkew, protowire.EncodeZigZag(min(max(h.ClockSkew.Microseconds(), -maxLong), maxLong)))
}

// state reads one of these fields.
func state(h *network.Health, n protowire.Number, v uint64) error {
	switch n {
	case fieldRingUsed:
		h.RingUsed = v
	case fieldRingFull:
		h.RingFull = v
	case fieldSpoolAge:
		if v > maxLong {
			return invalid("the age of the spool is out of range")
		}
		h.SpoolAge = time.Duration(v) * time.Microsecond
	case fieldClockSkew:
		skew := protowire.DecodeZigZag(v)
		if skew > maxLong || skew < -maxLong {
			return invalid("the clock skew is out of range")
		}
		h.ClockSkew = time.Duration(skew) * time.Microsecond
	}
	return nil
}
