package fleet

import "time"

// Group is a name for a target: N@web stands for its expression wherever a
// target is written.
type Group struct {
	Name    string    `json:"name"`
	Target  string    `json:"target"`
	By      string    `json:"by"` // who changed it last
	Changed time.Time `json:"changed"`
}
