package fleet

import (
	"encoding/json"
	"fmt"
	"time"
)

// Limits of what one peel shares.
const (
	MaxBasketName  = 63
	MaxBasketNames = 64
	MaxBasketValue = 64 << 10 // bytes of a value's JSON
	MaxBasketBytes = 1 << 20  // of all values of a peel together
)

// BasketItem is a value that a peel shares under a name.
type BasketItem struct {
	Peel       PeelID          `json:"peel"`
	Name       string          `json:"name"`
	Size       int             `json:"size_bytes"` // of the value
	Updated    time.Time       `json:"updated"`
	Configured bool            `json:"configured"`      // by the peel's configuration, which also removes it
	Value      json.RawMessage `json:"value,omitempty"` // untrusted; not in lists of names
}

// CheckBasketName accepts the names under which values are shared.
func CheckBasketName(s string) error {
	if s == "" || len(s) > MaxBasketName || !isToken(s) {
		return fmt.Errorf("%.64q is no name of a shared value: use 1 to %d characters of a-z, 0-9, _ and -", s, MaxBasketName)
	}
	return nil
}

// isToken reports whether a string consists of a-z, 0-9, _ and -.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
