package fleet

import "time"

// Reasons for which a peel is kept off the bus. The words are stable: they
// stand in metrics, in records and in the audit trail.
const (
	SuspendedFlood = "flood" // it sent more than an honest peel ever does
	SuspendedCopy  = "copy"  // two hosts use its key
)

// Suspension says why a peel is kept off the bus, and until when. Its key is
// refused as long.
type Suspension struct {
	Reason    string    `json:"reason"`
	Detail    string    `json:"detail,omitempty"` // what was measured, for people
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"`      // zero: until one of the hosts is enrolled again
	Addresses []string  `json:"addresses,omitempty"` // from which the key was used
}

// Over reports whether a suspension has ended by itself.
func (s *Suspension) Over(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }
