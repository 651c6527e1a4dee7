package wire

import (
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// PeelsIn asks for managed hosts.
type PeelsIn struct {
	Match string `query:"match" maxlen:"16384" doc:"target expression; all peels without it"`
	Limit int    `query:"limit" default:"100" min:"1" max:"1000" doc:"peels in one page"`
	After string `query:"after" doc:"id that the page before ended on"`
}

// PeelsOut is a page of managed hosts, sorted by id.
type PeelsOut struct {
	Peels []fleet.Peel `json:"peels"`
	Next  string       `json:"next,omitempty" doc:"after of the next page; absent on the last"`
}

// PeelIn names a peel.
type PeelIn struct {
	ID string `path:"id" doc:"id of the peel"`
}

// TargetIn asks whom a target means.
type TargetIn struct {
	Target string `query:"target" required:"true" maxlen:"16384" doc:"target expression"`
	Limit  int    `query:"limit" default:"100" min:"1" max:"1000" doc:"peels in one page"`
	After  string `query:"after" doc:"id that the page before ended on"`
}

// TargetOut says whom a target means and why.
type TargetOut struct {
	fleet.TargetTest
	Next string `json:"next,omitempty" doc:"after of the next page; absent on the last"`
}

// JobIn asks for a job.
type JobIn struct {
	Target   string   `json:"target" required:"true" doc:"target expression, such as web-*"`
	Function string   `json:"function" required:"true" doc:"function to run, such as test.ping"`
	Args     []string `json:"args,omitempty" doc:"arguments, as typed"`
	Timeout  Span     `json:"timeout,omitzero" doc:"how long each host may take to answer; the server's default without it"`
	Start    Later    `json:"start,omitzero" doc:"when it begins; at once without it"`
	Expires  Later    `json:"expires,omitzero" doc:"until when a host that is away gets it when it comes back; 5 minutes, or as long as the rollout takes, without it"`

	Batch       fleet.Share `json:"batch,omitzero" doc:"waves of so many hosts: the next begins when the one before has ended"`
	Concurrency fleet.Share `json:"concurrency,omitzero" doc:"at most so many hosts work on it at the same time"`
	MaxFailures fleet.Share `json:"max_failures,omitzero" doc:"when more have failed or not answered, nobody else gets it"`
	Canary      int         `json:"canary,omitempty" min:"0" max:"1000000" doc:"so many hosts first; it goes on when none of them failed"`
	Pause       bool        `json:"pause,omitempty" doc:"wait for somebody after the canary"`
	Slices      int         `json:"slices,omitempty" min:"0" max:"1000" doc:"so many waves, each larger than the one before; one that is not healthy pauses it"`
	SlicePause  Span        `json:"slice_pause,omitzero" doc:"between the end of a slice and the next"`
}

// Request is the job that is asked for, with times against now.
func (in JobIn) Request(now time.Time, by string) fleet.JobRequest {
	return fleet.JobRequest{
		Target: in.Target, Function: in.Function, Args: in.Args, Timeout: time.Duration(in.Timeout), By: by,
		Start: in.Start.After(now), Expires: in.Expires.After(now),
		Rollout: fleet.Rollout{Batch: in.Batch, Concurrency: in.Concurrency, MaxFailures: in.MaxFailures, Canary: in.Canary, Pause: in.Pause,
			Slices: in.Slices, SlicePause: time.Duration(in.SlicePause)},
	}
}

// JobsIn asks for the latest jobs.
type JobsIn struct {
	Limit int `query:"limit" default:"50" min:"1" max:"1000" doc:"jobs, from new to old"`
}

// JobsOut is the latest jobs, from new to old.
type JobsOut struct {
	Jobs []fleet.Job `json:"jobs"`
}

// JIDIn names a job.
type JIDIn struct {
	JID string `path:"jid" doc:"id of the job"`
}

// JobOut is a job with what was returned so far.
type JobOut struct {
	Job     fleet.Job      `json:"job"`
	Returns []fleet.Return `json:"returns"`
}
