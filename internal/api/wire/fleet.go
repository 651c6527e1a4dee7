package wire

import "github.com/rind-project/rind/internal/fleet"

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
	Timeout  Span     `json:"timeout,omitzero" doc:"how long to wait for answers; the server's default without it"`
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
