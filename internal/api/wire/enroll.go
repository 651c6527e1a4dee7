package wire

import (
	"time"

	"github.com/rind-project/rind/internal/fleet/enroll"
)

// EnrollTokenIn asks for a token with which one host may enroll.
type EnrollTokenIn struct {
	TTL         Span `json:"ttl,omitzero" doc:"life of the token; an hour without it"`
	AutoApprove bool `json:"auto_approve,omitempty" doc:"approve the host without asking, if its id is free"`
}

// EnrollTokenOut is a token. It is shown this once.
type EnrollTokenOut struct {
	ID      string    `json:"id" doc:"names the token in records; it is no secret"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	Join    string    `json:"join" doc:"the command to type on the host"`
}

// EnrollmentsIn asks for enrollments.
type EnrollmentsIn struct {
	State string `query:"state" enum:"pending,approved,suspended,rejected,revoked" doc:"only those in this state"`
	Limit int    `query:"limit" default:"100" min:"1" max:"1000" doc:"enrollments in one page"`
	After string `query:"after" doc:"id that the page before ended on"`
}

// EnrollmentsOut is a page of enrollments, sorted by id.
type EnrollmentsOut struct {
	Enrollments []enroll.Record `json:"enrollments"`
	Next        string          `json:"next,omitempty" doc:"after of the next page; absent on the last"`
}

// ApproveIn approves an enrollment.
type ApproveIn struct {
	ID      string `path:"id" json:"-" doc:"id of the peel"`
	Replace bool   `json:"replace,omitempty" doc:"take the id away from the key that has it, and purge what belongs to it"`
}
