package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Limits of a message.
const (
	MaxBody    = 512 << 10
	maxPath    = 32 // hashes: 2^32 targets
	maxMessage = MaxBody + maxDelegation + maxPath*hashSize + 1<<10
)

const bodyVersion = 1

// Body is what a job says. It is signed and checked as the exact bytes that
// the master made of it, once.
type Body struct {
	V        int       `json:"v"`
	JID      string    `json:"jid"`
	Function string    `json:"function"`
	Args     []string  `json:"args,omitempty"`
	By       string    `json:"by,omitempty"` // who asked, for the peel's log
	Signed   time.Time `json:"signed"`       // by the master's clock, when this message was made
	Expires  time.Time `json:"expires"`      // not started after this; the same in every message of a job
	// Limit is how long it may run, in nanoseconds.
	Limit time.Duration `json:"limit"`
	// Patience is how long a peel waits for the acknowledgement of its return
	// before it sends it again, in nanoseconds; 0 leaves it to the peel. When
	// very many answer, masters count all of them before they acknowledge.
	Patience time.Duration `json:"patience,omitempty"`
	All      bool          `json:"all,omitempty"`
	Targets  int           `json:"targets,omitempty"` // how many leaves the tree has
	Root     []byte        `json:"root,omitempty"`    // of the Merkle tree over the target ids
}

func (b *Body) encode() ([]byte, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxBody {
		return nil, fmt.Errorf("the job has %d bytes, at most %d are allowed", len(raw), MaxBody)
	}
	return raw, b.check()
}

func parseBody(raw []byte) (*Body, error) {
	var b Body
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, err
	}
	return &b, b.check()
}

func (b *Body) check() error {
	switch {
	case b.V != bodyVersion:
		return fmt.Errorf("version %d of the job is not known here", b.V)
	case !ValidJID(b.JID):
		return fmt.Errorf("%q is no job id", b.JID)
	case b.Function == "":
		return errors.New("the job names no function")
	case b.Signed.IsZero() || !b.Expires.After(b.Signed):
		return errors.New("the job's times are missing or out of order")
	case b.Limit <= 0:
		return errors.New("the job does not say how long it may run")
	case b.All != (len(b.Root) == 0) || b.All != (b.Targets == 0):
		return errors.New("the job is either for all or for a set of targets")
	case !b.All && (len(b.Root) != hashSize || b.Targets < 1):
		return errors.New("the job's target set is damaged")
	}
	return nil
}
