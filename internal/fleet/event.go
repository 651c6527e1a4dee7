package fleet

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Limits of an event.
const (
	MaxEventTokens = 8
	MaxEventToken  = 32       // bytes of each token of a name
	MaxEventData   = 32 << 10 // bytes of its JSON
)

// Event is something that happened, told by a peel, by a person or program, or
// by the masters themselves, whose names have a slash: job/created, job/done.
type Event struct {
	Seq  uint64          `json:"seq"` // its place in the stream
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`           // "disk.full"
	Peel PeelID          `json:"peel,omitempty"` // who sent it, by the transport's word: a peel,
	By   string          `json:"by,omitempty"`   // or a person or program
	At   time.Time       `json:"at"`             // when a master took it
	Data json.RawMessage `json:"data,omitempty"` // untrusted
}

// NewEventID makes an id that no other event has.
func NewEventID() string { return strings.ToLower(rand.Text()) }

// EventSaid is what a peel says of an event; the rest is in the subject. What
// is said again under one id is the same event.
type EventSaid struct {
	ID   string          `json:"id,omitempty"` // at most 64 of a-z, 0-9, _ and -
	Data json.RawMessage `json:"data,omitempty"`
}

// Check says what is wrong with it.
func (s EventSaid) Check() error {
	if len(s.ID) > 64 || !isToken(s.ID) {
		return fmt.Errorf("the event's id is %.80q: use at most 64 of a-z, 0-9, _ and -", s.ID)
	}
	if len(s.Data) == 0 {
		return nil
	}
	return CheckValue(s.Data, MaxEventData)
}

// EventStep is what somebody who watches events is told: exactly one field is
// set.
type EventStep struct {
	Event *Event `json:"event,omitempty"`
	Lost  uint64 `json:"lost,omitempty"`  // so many events, of any name, were gone before they could be shown
	Place uint64 `json:"place,omitempty"` // what comes is behind this Seq; told first to who wants new events only
}

// CheckEventName accepts the names that peels and people give to events: 1 to 8
// tokens of a-z, 0-9, _ and -, separated by dots.
func CheckEventName(s string) error {
	tokens := strings.Split(s, ".")
	good := len(tokens) <= MaxEventTokens
	for _, t := range tokens {
		good = good && t != "" && len(t) <= MaxEventToken && isToken(t)
	}
	if !good {
		return fmt.Errorf("%.64q is no name of an event: use 1 to %d words of a-z, 0-9, _ and - with dots between them, such as disk.full; each has at most %d characters",
			s, MaxEventTokens, MaxEventToken)
	}
	return nil
}
