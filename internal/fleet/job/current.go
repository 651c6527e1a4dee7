package job

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// DelegationLife is how long a delegation is good that a process makes for
// itself, and so how long a key that was rotated out can be used by whoever
// has got it. It is longer than any job lives.
const DelegationLife = 30 * 24 * time.Hour

// Current signs with the key that signs jobs now, in a process that owns the
// fleet's root. It delegates to that key, anew when the key was rotated and
// well before the delegation ends. It is safe for concurrent use.
type Current struct {
	root ed25519.PrivateKey
	key  func() (ed25519.PrivateKey, error)
	now  func() time.Time

	mu     sync.Mutex
	signer *Signer
	by     ed25519.PrivateKey
	renew  time.Time
}

// NewCurrent makes a signer; now may be nil. The key is asked at each job.
func NewCurrent(root ed25519.PrivateKey, key func() (ed25519.PrivateKey, error), now func() time.Time) (*Current, error) {
	if len(root) != ed25519.PrivateKeySize {
		return nil, errors.New("making a job signer: the root key is no Ed25519 private key")
	}
	if now == nil {
		now = time.Now
	}
	return &Current{root: root, key: key, now: now}, nil
}

// Sign signs a job; see Signer.Sign.
func (c *Current) Sign(b Body, targets []fleet.PeelID) (*Batch, error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	return s.Sign(b, targets)
}

func (c *Current) current() (*Signer, error) {
	key, err := c.key()
	if err != nil {
		return nil, fmt.Errorf("signing a job: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.signer != nil && key.Equal(c.by) && now.Before(c.renew) {
		return c.signer, nil
	}
	s, err := SelfDelegated(c.root, key, now.Add(DelegationLife).UTC().Truncate(time.Second))
	if err != nil {
		return nil, fmt.Errorf("delegating to the key that signs jobs: %w", err)
	}
	c.signer, c.by, c.renew = s, key, now.Add(DelegationLife/4)
	return s, nil
}
