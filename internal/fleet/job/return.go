package job

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rind-project/rind/internal/fleet"
)

// Limits of a return.
const (
	MaxReturn = 16 << 20  // bytes of its JSON form
	ChunkSize = 512 << 10 // a longer one goes in parts of this size
	maxParts  = MaxReturn/ChunkSize + 1
)

// Part is a message on a return's subject: a whole return, or one of Of parts
// of its JSON form. Both are JSON, so that the bucket is readable by hand.
type Part struct {
	fleet.Return
	Of    int    `json:"of,omitempty"`
	Bytes []byte `json:"part,omitempty"`
}

// part is the form of a part on the wire.
type part struct {
	Of    int    `json:"of"`
	Bytes []byte `json:"part"`
}

// Encode makes the JSON form of a return.
func Encode(r fleet.Return) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a return: %w", err)
	}
	return b, nil
}

// Split makes the messages of a return in its JSON form.
func Split(b []byte) ([][]byte, error) {
	if len(b) > MaxReturn {
		return nil, fmt.Errorf("the return has %d bytes, at most %d are allowed", len(b), MaxReturn)
	}
	if len(b) <= ChunkSize {
		return [][]byte{b}, nil
	}
	of := (len(b) + ChunkSize - 1) / ChunkSize
	var out [][]byte
	for ; len(b) > 0; b = b[min(ChunkSize, len(b)):] {
		p, err := json.Marshal(part{Of: of, Bytes: b[:min(ChunkSize, len(b))]})
		if err != nil {
			return nil, fmt.Errorf("encoding a part of a return: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// ParsePart reads a message. Who returned what to which job is not in it: that
// is in the subject, and what the payload says of it is overwritten.
func ParsePart(data []byte, jid string, id fleet.PeelID, n int) (Part, error) {
	var p Part
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("reading a return of %s: %w", id, err)
	}
	if p.Of < 0 || p.Of == 1 || p.Of > maxParts || n >= max(1, p.Of) {
		return p, fmt.Errorf("reading a return of %s: part %d of %d cannot be", id, n, p.Of)
	}
	p.JID, p.Peel = jid, id
	return p, nil
}

// Join makes the return of its parts' bytes, in their order.
func Join(parts [][]byte, jid string, id fleet.PeelID) (fleet.Return, error) {
	var all []byte
	for _, p := range parts {
		if len(all)+len(p) > MaxReturn {
			return fleet.Return{}, fmt.Errorf("joining a return of %s: it is over %d bytes", id, MaxReturn)
		}
		all = append(all, p...)
	}
	var r fleet.Return
	if err := json.Unmarshal(all, &r); err != nil {
		return r, fmt.Errorf("joining a return of %s: %w", id, err)
	}
	r.JID, r.Peel = jid, id
	return r, nil
}

// ErrSpoolFull is wrapped by the error of a return that has no place.
var ErrSpoolFull = errors.New("the spool of returns is full")
