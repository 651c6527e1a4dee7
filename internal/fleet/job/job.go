// Package job is the wire form of a job and what makes a peel trust it.
//
// The fleet's root key, which peels pin when they enroll, signs delegations: a
// key, whom it may address, until when. A delegated key signs a job's body.
// The body holds the root of a Merkle tree over the ids of its targets, and
// each peel's message the path to its own leaf, so that one signature
// addresses any set of peels. The body travels and is verified as the bytes
// that were signed.
//
// A peel needs the functions of a job too; they are in the package function.
package job

import "time"

// MaxSkew is how far the signed time of a job may be from the peel's clock.
const MaxSkew = 5 * time.Minute

// Why a peel refuses a job. The words are stable: they stand in metrics and in
// the Reason of a return.
const (
	ReasonMalformed   = "malformed"   // no job message, or cut off
	ReasonUnsigned    = "unsigned"    // it carries no signature
	ReasonSignature   = "signature"   // signed by somebody else, or changed since
	ReasonAddress     = "address"     // for other peels
	ReasonReplayed    = "replayed"    // seen before
	ReasonScope       = "scope"       // the signing key may not address this peel
	ReasonDelegation  = "delegation"  // the signing key's time is over
	ReasonClock       = "clock"       // the clocks of master and peel are too far apart
	ReasonExpired     = "expired"     // too late to start
	ReasonBusy        = "busy"        // the peel's queue is full
	ReasonInterrupted = "interrupted" // the peel was ended while the job ran
	ReasonCancelled   = "cancelled"   // ended by a person while it ran
	ReasonWithdrawn   = "withdrawn"   // ended by a person before it began
)

// The functions that masters give to peels themselves.
const (
	ControlPrefix  = "job."
	CancelFunction = "job.cancel" // ends the job whose id is its argument; nothing is returned for it
)

// Refusal is the error of a job that a peel does not run.
type Refusal struct {
	Reason string
	Msg    string
	// Answer says that the one who asked is told. What is not proven to come
	// from a master, and to this peel for the first time, is not answered:
	// somebody else may be speaking, and an answer would stand in the place of
	// the true one.
	Answer bool
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Msg }
