package job

import (
	"crypto/ed25519"
	"fmt"
	"sync"
)

// maxDelegations bounds the delegations that are remembered as verified.
const maxDelegations = 16

// Delegations remembers which delegations were verified: the same one comes
// with every job. It is safe for concurrent use.
type Delegations struct {
	mu     sync.RWMutex
	passed map[string]*Delegation // by root, signature and bytes
}

// NewDelegations makes an empty memory.
func NewDelegations() *Delegations { return &Delegations{passed: map[string]*Delegation{}} }

// verify verifies a delegation by the root.
func (m *Delegations) verify(s Signed, root ed25519.PublicKey) (*Delegation, error) {
	key := string(root) + string(s.Signature) + string(s.Bytes)
	m.mu.RLock()
	d := m.passed[key]
	m.mu.RUnlock()
	if d != nil {
		return d, nil
	}
	if !s.verify(root, delegationContext) {
		return nil, fmt.Errorf("the delegation is not signed by the fleet's root key")
	}
	d, err := parseDelegation(s.Bytes)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.passed) >= maxDelegations {
		clear(m.passed)
	}
	m.passed[key] = d
	return d, nil
}
