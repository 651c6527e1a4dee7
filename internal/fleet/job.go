package fleet

import (
	"encoding/json"
	"time"
)

// JobState says how far a job is.
type JobState string

// A job that is scheduled, running or paused goes on; the others are ended.
const (
	JobScheduled JobState = "scheduled" // waits for its start
	JobRunning   JobState = "running"
	JobPaused    JobState = "paused"    // waits until somebody resumes or cancels it
	JobDone      JobState = "done"      // every target answered, or its time was over
	JobStopped   JobState = "stopped"   // too many failed or did not answer, or it expired before all had it
	JobCancelled JobState = "cancelled" // by somebody
)

// Ended reports whether the job sends nothing new any more.
func (s JobState) Ended() bool { return s == JobDone || s == JobStopped || s == JobCancelled }

// JobRequest is what a person or a program asks for.
type JobRequest struct {
	Target   string        // in the target language
	Function string        // "cmd.run"
	Args     []string      // as typed
	Timeout  time.Duration // how long each host may take to answer; 0 is the default
	Start    time.Time     // zero: at once
	Expires  time.Time     // until when a host that was away may still get it; zero is the default
	Rollout  Rollout
	By       string // who asks, from the transport
}

// Rollout says how a job spreads over its targets. Without anything it goes to
// all of them at once.
type Rollout struct {
	Batch       Share         `json:"batch,omitzero"`        // waves of so many hosts, each when the one before has ended
	Concurrency Share         `json:"concurrency,omitzero"`  // at most so many work on it at the same time
	MaxFailures Share         `json:"max_failures,omitzero"` // when more have failed or not answered, nobody else gets it
	Canary      int           `json:"canary,omitempty"`      // so many hosts first
	Pause       bool          `json:"pause,omitempty"`       // wait for somebody after the canary
	Slices      int           `json:"slices,omitempty"`      // so many waves, each larger than the one before
	SlicePause  time.Duration `json:"slice_pause,omitempty"` // nanoseconds between the end of a wave and the next
}

// Job is a job's record.
type Job struct {
	JID      string    `json:"jid"` // UUIDv7: sorts by time
	Target   string    `json:"target"`
	Function string    `json:"function"`
	Args     []string  `json:"args,omitempty"`
	By       string    `json:"by"`
	State    JobState  `json:"state"`
	Reason   string    `json:"reason,omitempty"` // why it is paused, stopped or cancelled
	Created  time.Time `json:"created"`
	Start    time.Time `json:"start,omitzero"` // when it was to begin, if not at once
	Expires  time.Time `json:"expires"`
	Ended    time.Time `json:"ended,omitzero"`
	RetryOf  string    `json:"retry_of,omitempty"` // the job whose failed and missing hosts these are
	Rollout  Rollout   `json:"rollout,omitzero"`
	Waves    int       `json:"waves,omitempty"` // how many there are, when more than one
	Wave     int       `json:"wave,omitempty"`  // the one that was begun last, from 1
	Summary  Summary   `json:"summary"`
	// Unknown are the ids that the target lists and nobody has, the first hundred
	// of them. They stand in the answer to a request only.
	Unknown []PeelID `json:"unknown,omitempty"`
}

// Summary adds up: Targeted = Answered + Missing. Failed is a part of Answered,
// Cancelled a part of Failed, and Unsent a part of Missing. While a job runs,
// Missing counts those that may still answer.
type Summary struct {
	Targeted     int      `json:"targeted"`
	Answered     int      `json:"answered"`
	Failed       int      `json:"failed"`
	Cancelled    int      `json:"cancelled,omitempty"` // were ended while they worked on it
	Withdrawn    int      `json:"withdrawn,omitempty"` // had it and had not begun; also a part of Failed
	Missing      int      `json:"missing"`
	Unsent       int      `json:"unsent,omitempty"`        // did not get it yet, or never will
	MissingPeels []PeelID `json:"missing_peels,omitempty"` // sorted; every one of them
}

// Return is what one peel answered to one job.
type Return struct {
	JID      string          `json:"jid"`
	Peel     PeelID          `json:"peel"`
	OK       bool            `json:"ok"`
	ExitCode int             `json:"exit_code,omitempty"` // of cmd.run
	Value    json.RawMessage `json:"value,omitempty"`     // what the function gave; untrusted
	Error    string          `json:"error,omitempty"`     // why it failed; untrusted
	Reason   string          `json:"reason,omitempty"`    // a refusal's stable word: "signature", "expired", "clock", "replayed" …
	Started  time.Time       `json:"started"`
	Finished time.Time       `json:"finished"`
}

// JobEvent is one step of a running job: exactly one field is set.
type JobEvent struct {
	Return *Return `json:"return,omitempty"`
	Step   *Job    `json:"step,omitempty"` // a wave, or another state; its missing peels are not named
	Done   *Job    `json:"done,omitempty"` // the last event
}

// JobPlan is what a job would do.
type JobPlan struct {
	Targeted int       `json:"targeted"`
	Start    time.Time `json:"start,omitzero"`
	Expires  time.Time `json:"expires"`
	Window   int       `json:"window"`   // how many hosts work on it at the same time, at most
	Failures int       `json:"failures"` // how many may fail or not answer; below 0: any number
	Waves    []JobWave `json:"waves"`
	Unknown  []PeelID  `json:"unknown,omitempty"` // as in the job
}

// JobWave is a part of the targets that gets a job at the same time.
type JobWave struct {
	Hosts int      `json:"hosts"`
	Peels []PeelID `json:"peels"` // the first few
}
