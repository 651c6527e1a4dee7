package job

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
)

// Verifier decides on the peel which jobs are run. It is safe for concurrent
// use.
type Verifier struct {
	id   fleet.PeelID
	root ed25519.PublicKey
	now  func() time.Time
	seen *Seen

	refused *prometheus.CounterVec
	passed  *Delegations
}

// VerifierConfig is what a verifier needs.
type VerifierConfig struct {
	ID      fleet.PeelID
	Root    ed25519.PublicKey // the fleet's root, pinned at enrollment
	Seen    *Seen
	Now     func() time.Time       // optional
	Refused *prometheus.CounterVec // of NewRefused; optional
	Passed  *Delegations           // of several verifiers under one root; optional
}

// NewVerifier makes a verifier.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if len(cfg.Root) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("verifying jobs: the pinned root key has %d bytes, not %d; enroll again", len(cfg.Root), ed25519.PublicKeySize)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Refused == nil {
		cfg.Refused = NewRefused()
	}
	if cfg.Passed == nil {
		cfg.Passed = NewDelegations()
	}
	return &Verifier{id: cfg.ID, root: cfg.Root, now: cfg.Now, seen: cfg.Seen, refused: cfg.Refused, passed: cfg.Passed}, nil
}

// NewRefused makes the counter of refusals, with every reason at zero.
func NewRefused() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_peel_jobs_refused_total", Help: "Jobs that this peel did not run, by the reason.",
	}, []string{"reason"})
	for _, r := range []string{ReasonMalformed, ReasonUnsigned, ReasonSignature, ReasonAddress, ReasonReplayed,
		ReasonScope, ReasonDelegation, ReasonClock, ReasonExpired, ReasonBusy} {
		c.WithLabelValues(r)
	}
	return c
}

// Count counts a refusal that was decided elsewhere, such as a full queue.
func (v *Verifier) Count(reason string) { v.refused.WithLabelValues(reason).Inc() }

// Verify takes a message from a job subject. It returns the job's body when
// this peel is to run it, which it says once per job. With a refusal the body
// is returned too once it is known to be a master's.
func (v *Verifier) Verify(msg []byte) (*Body, *Refusal) {
	b, r := v.verify(msg)
	if r != nil {
		v.Count(r.Reason)
	}
	return b, r
}

func (v *Verifier) verify(msg []byte) (*Body, *Refusal) {
	e, err := decodeEnvelope(msg)
	if err != nil {
		return nil, silent(ReasonMalformed, "%v", err)
	}
	d, r := v.authentic(e)
	if r != nil {
		return nil, r
	}
	b, err := parseBody(e.body.Bytes)
	if err != nil {
		return nil, silent(ReasonMalformed, "a signed job that cannot be read: %v", err)
	}
	if !b.All && !verifyPath(v.id, e.index, b.Targets, e.path, b.Root) {
		return b, silent(ReasonAddress, "the job %s is not addressed to this peel", b.JID)
	}
	if v.seen.Has(b.JID) {
		return b, silent(ReasonReplayed, "the job %s came before", b.JID)
	}
	return v.timely(b, d)
}

// authentic checks both signatures.
func (v *Verifier) authentic(e *envelope) (*Delegation, *Refusal) {
	if len(e.delegation.Signature) == 0 || len(e.body.Signature) == 0 {
		return nil, silent(ReasonUnsigned, "the job is not signed")
	}
	d, err := v.passed.verify(e.delegation, v.root)
	if err != nil {
		return nil, silent(ReasonSignature, "%v", err)
	}
	if !e.body.verify(d.key, jobContext) {
		return nil, silent(ReasonSignature, "the job's signature is not by the delegated key")
	}
	return d, nil
}

// timely checks what depends on the clock and on the key's scope, and notes
// the job as seen when it passes.
func (v *Verifier) timely(b *Body, d *Delegation) (*Body, *Refusal) {
	now := v.now()
	off := now.Sub(b.Signed)
	switch {
	case off > MaxSkew || off < -MaxSkew:
		return b, loud(ReasonClock, "the peel's clock says %s, the master signed at %s: they are %s apart, at most %s are allowed; set the clock",
			now.UTC().Format(time.RFC3339), b.Signed.UTC().Format(time.RFC3339), off.Abs().Round(time.Second), MaxSkew)
	case now.After(d.NotAfter):
		return b, loud(ReasonDelegation, "the key that signed the job was delegated until %s", d.NotAfter.UTC().Format(time.RFC3339))
	case !d.scope.Match(v.id, nil):
		return b, loud(ReasonScope, "the key that signed the job may address %s only", d.Scope)
	case now.After(b.Expires):
		return b, loud(ReasonExpired, "the job was to be started until %s", b.Expires.UTC().Format(time.RFC3339))
	}
	fresh, err := v.seen.Add(b.JID, b.Expires.Add(2*MaxSkew), now)
	if err != nil {
		return b, loud(ReasonBusy, "the peel cannot note the job as seen, so it does not run it: %v", err)
	}
	if !fresh {
		return b, silent(ReasonReplayed, "the job %s came before", b.JID)
	}
	return b, nil
}

func silent(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

func loud(reason, format string, args ...any) *Refusal {
	r := silent(reason, format, args...)
	r.Answer = true
	return r
}
