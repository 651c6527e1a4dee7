package job

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/fleet/target"
)

// The contexts keep a signature of one kind from being shown as another.
const (
	delegationContext = "rind delegation v1\x00"
	jobContext        = "rind job v1\x00"
)

// maxDelegation bounds a delegation in bytes.
const maxDelegation = 2 << 10

// Signed is exact bytes and an Ed25519 signature over them with a context.
type Signed struct {
	Bytes     []byte `json:"bytes"`
	Signature []byte `json:"signature"`
}

// Delegation lets a key sign jobs for a part of the fleet, for a time. It
// travels with each job.
type Delegation struct {
	Key      []byte    `json:"key"`       // Ed25519 public key
	Scope    string    `json:"scope"`     // whom it may address, in the target language
	NotAfter time.Time `json:"not_after"` // by the peel's clock

	key   ed25519.PublicKey
	scope *target.Expr
}

// Delegate signs a delegation with the fleet's root key.
func Delegate(root ed25519.PrivateKey, d Delegation) (Signed, error) {
	if len(root) != ed25519.PrivateKeySize {
		return Signed{}, errors.New("delegating: the root key is no Ed25519 private key")
	}
	b, err := json.Marshal(d)
	if err != nil {
		return Signed{}, fmt.Errorf("delegating: %w", err)
	}
	made, err := parseDelegation(b)
	if err != nil {
		return Signed{}, fmt.Errorf("delegating: %w", err)
	}
	if err := made.scope.ByID(); err != nil {
		return Signed{}, fmt.Errorf("delegating for the scope %q: %w", d.Scope, err)
	}
	return Signed{Bytes: b, Signature: signWith(root, delegationContext, b)}, nil
}

func parseDelegation(b []byte) (*Delegation, error) {
	if len(b) > maxDelegation {
		return nil, fmt.Errorf("the delegation has %d bytes, at most %d are allowed", len(b), maxDelegation)
	}
	var d Delegation
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("the delegation is damaged: %w", err)
	}
	if len(d.Key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the delegated key has %d bytes, not %d", len(d.Key), ed25519.PublicKeySize)
	}
	if d.NotAfter.IsZero() {
		return nil, errors.New("the delegation has no end")
	}
	var err error
	if d.scope, err = target.Parse(d.Scope); err != nil {
		return nil, fmt.Errorf("the delegation's scope: %w", err)
	}
	d.key = d.Key
	return &d, nil
}

func signWith(key ed25519.PrivateKey, context string, b []byte) []byte {
	return ed25519.Sign(key, append([]byte(context), b...))
}

func (s Signed) verify(key ed25519.PublicKey, context string) bool {
	return len(s.Signature) == ed25519.SignatureSize && ed25519.Verify(key, append([]byte(context), s.Bytes...), s.Signature)
}
