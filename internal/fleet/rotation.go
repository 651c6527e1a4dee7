package fleet

import "time"

// The keys that are rotated under a running fleet.
const (
	ScopedKey = "scoped-key" // signs peels' permissions for the bus
	MasterKey = "master-key" // signs jobs, by delegation of the fleet's root
)

// KeyRotation says which key signs from now on, and until when what the one
// before it has signed is good at most.
type KeyRotation struct {
	Kind     string    `json:"kind"`
	Key      string    `json:"key"` // the public half
	Since    time.Time `json:"since"`
	OldUntil time.Time `json:"old_until"`
}
