// Package fleet holds the words of the fleet plane: the plain types that its
// rooms, the API and the pages share. It imports the standard library only.
package fleet

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// PeelID is the identity of a managed host on the bus: one subject token,
// [a-z0-9_-]{1,63}. It is bound to the peel's key at enrollment.
type PeelID string

// MaxPeelID is the longest id in bytes.
const MaxPeelID = 63

// ErrPeelID is wrapped by every error of ParsePeelID.
var ErrPeelID = errors.New("not a valid peel id")

// ParsePeelID accepts exactly the strings that may stand in a subject and in
// the template of a scoped signing key, where they are pasted unescaped.
func ParsePeelID(s string) (PeelID, error) {
	if s == "" {
		return "", fmt.Errorf("%w: it is empty; use 1 to %d characters of a-z, 0-9, _ and -", ErrPeelID, MaxPeelID)
	}
	if len(s) > MaxPeelID {
		return "", fmt.Errorf("%w: it is %d bytes long, at most %d are allowed", ErrPeelID, len(s), MaxPeelID)
	}
	for i, c := range s { // what stands before i is ASCII: the byte's position is the character's
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			_, n := utf8.DecodeRuneInString(s[i:])
			return "", fmt.Errorf("%w: %q has %q at position %d; only a-z, 0-9, _ and - are allowed", ErrPeelID, s, s[i:i+n], i+1)
		}
	}
	return PeelID(s), nil
}

// PeelIDFromHostname makes an id of a host name: lower case, with each dot as
// an underscore. The result is checked like any other id.
func PeelIDFromHostname(name string) (PeelID, error) {
	return ParsePeelID(strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(name, ".")), ".", "_"))
}

// Presence says whether a peel is on the bus now.
type Presence string

// A peel is connected, or away since its LastSeen, or enrolled but never seen,
// or kept off the bus for a reason that is in its Suspension.
const (
	Connected Presence = "connected"
	Away      Presence = "away"
	Never     Presence = "never"
	CutOff    Presence = "cut off"
)

// Peel is a managed host as the masters know it.
type Peel struct {
	ID       PeelID    `json:"id"`
	Presence Presence  `json:"presence"`
	Since    time.Time `json:"since,omitzero"`     // when Presence last changed
	LastSeen time.Time `json:"last_seen,omitzero"` // last sign of life
	Version  string    `json:"version,omitempty"`  // of the peel's binary
	Address  string    `json:"address,omitempty"`  // the address it connects from
	OS       string    `json:"os,omitempty"`       // short, from its facts: "Debian 12"
	Facts    *Facts    `json:"facts,omitempty"`    // nil in lists

	Suspension *Suspension `json:"suspension,omitempty"` // of a peel that is cut off
}
