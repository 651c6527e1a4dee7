package job

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// Signer makes signed jobs with a delegated key.
type Signer struct {
	key        ed25519.PrivateKey
	delegation Signed
}

// NewSigner takes a delegated private key and the delegation that the fleet's
// root signed for it.
func NewSigner(key ed25519.PrivateKey, delegation Signed) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("making a job signer: the key is no Ed25519 private key")
	}
	d, err := parseDelegation(delegation.Bytes)
	if err != nil {
		return nil, fmt.Errorf("making a job signer: %w", err)
	}
	if !key.Public().(ed25519.PublicKey).Equal(d.key) {
		return nil, errors.New("making a job signer: the delegation is for another key")
	}
	return &Signer{key: key, delegation: delegation}, nil
}

// SelfDelegated makes a signer for a process that owns the fleet's root: it
// delegates to the key for the whole fleet until notAfter.
func SelfDelegated(root, key ed25519.PrivateKey, notAfter time.Time) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("making a job signer: the key is no Ed25519 private key")
	}
	d, err := Delegate(root, Delegation{Key: []byte(key.Public().(ed25519.PublicKey)), Scope: "*", NotAfter: notAfter})
	if err != nil {
		return nil, err
	}
	return NewSigner(key, d)
}

// Batch is one signed job for a set of peels.
type Batch struct {
	body []byte
	sig  []byte
	by   Signed
	tree *tree // nil when it is for all
}

// Sign signs a job for the targets, in their order, or for every peel when
// targets is nil.
func (s *Signer) Sign(b Body, targets []fleet.PeelID) (*Batch, error) {
	batch := &Batch{by: s.delegation}
	b.V, b.All, b.Root, b.Targets = bodyVersion, targets == nil, nil, 0
	if !b.All {
		if len(targets) == 0 {
			return nil, errors.New("signing a job: it has no targets")
		}
		batch.tree = newTree(targets)
		b.Root, b.Targets = batch.tree.root(), len(targets)
	}
	var err error
	if batch.body, err = b.encode(); err != nil {
		return nil, fmt.Errorf("signing a job: %w", err)
	}
	batch.sig = signWith(s.key, jobContext, batch.body)
	return batch, nil
}

// Message returns what goes to the target with the index n; n is ignored when
// the job is for all.
func (b *Batch) Message(n int) []byte {
	e := envelope{delegation: b.by, body: Signed{Bytes: b.body, Signature: b.sig}}
	if b.tree != nil {
		e.index, e.path = n, b.tree.path(n)
	}
	return e.encode()
}

// All reports whether the job is for every peel, with one message.
func (b *Batch) All() bool { return b.tree == nil }
