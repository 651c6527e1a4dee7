// Package record keeps what masters write down of jobs, in the bucket jobs: a
// record of each, and the list of its targets. A job whose record is there can
// be finished by any master.
package record

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
)

// MaxNamed is how many missing peels a record names; more are found by its
// target list.
const MaxNamed = 1000

// Record is a job in the bucket jobs, under its id. The list of its targets is
// beside it under <jid>.targets.<n>, compressed, since it does not change.
type Record struct {
	fleet.Job
	Master   string        `json:"master"`        // who sends it and collects the answers
	Epoch    int           `json:"epoch"`         // how many masters have
	Timeout  time.Duration `json:"timeout"`       // of each host, in nanoseconds
	All      bool          `json:"all,omitempty"` // it is for every peel
	Sent     int           `json:"sent"`          // positions that have it, or are about to
	Judged   int           `json:"judged"`        // waves whose health was looked at
	Deadline time.Time     `json:"deadline"`      // of those that were sent last
	Obeyed   uint64        `json:"obeyed"`        // revision of the last wish that was fulfilled
	Chunks   int           `json:"chunks"`        // of the target list

	Revision uint64 `json:"-"` // at which it was read or written
}

// Over reports whether the job has ended, and its end is written down.
func (r *Record) Over() bool { return !r.Ended.IsZero() }

// Owed reports whether a host may still get the job, or answer it.
func (r *Record) Owed(now time.Time) bool {
	return !r.Over() || r.State != fleet.JobCancelled && r.Summary.Missing > r.Summary.Unsent && now.Before(r.Expires)
}

// Short leaves out a list that is too long for a record.
func (r Record) Short() Record {
	if len(r.Summary.MissingPeels) > MaxNamed {
		r.Summary.MissingPeels = nil
	}
	return r
}

// Parse reads a record as an entry of the bucket.
func Parse(e jetstream.KeyValueEntry) (*Record, error) {
	var r Record
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		return nil, fmt.Errorf("reading the job %s: %w", e.Key(), err)
	}
	r.JID, r.Revision = e.Key(), e.Revision()
	return &r, nil
}
