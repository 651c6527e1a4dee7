package pki

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Secret derives 32 bytes from the root's key (HKDF, RFC 5869) that every
// server of the fleet knows and nobody else. Each purpose has its own.
func (ca *CA) Secret(purpose string) ([]byte, error) {
	key, err := ca.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("deriving a secret from the CA's key: %w", err)
	}
	return hkdf.Key(sha256.New, key, nil, "rind "+purpose, 32)
}
