// Package basket is how peels share named values with one another: what a peel
// asks of the masters, and how. The masters' half is the package holder.
//
// No peel reads the bucket. It asks, and a master that knows from the subject
// who asks gives what the rules of its configuration let that peel read.
package basket

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

// What a peel asks, with what it sends and what it is answered.
const (
	AskPut    = "basket.put"    // Put, nothing
	AskKeep   = "basket.keep"   // Keep, Kept
	AskRemove = "basket.remove" // Name, Removed
	AskGet    = "basket.get"    // Query, Answer
	AskList   = "basket.list"   // nothing, Own
)

// Put is a value to keep under a name.
type Put struct {
	Name       string          `json:"name"`
	Value      json.RawMessage `json:"value"`
	Configured bool            `json:"configured,omitempty"`
}

// Keep says which names the peel's configuration has, each with the Sum of its
// value. Other names of an earlier configuration are removed.
type Keep struct {
	Sums map[string]string `json:"sums"`
}

// Kept says what came of it.
type Kept struct {
	Want    []string `json:"want,omitempty"`    // names whose values are to be put
	Removed []string `json:"removed,omitempty"` // names that are gone
}

// Name names one of the peel's own values.
type Name struct {
	Name string `json:"name"`
}

// Removed says whether there was something to remove.
type Removed struct {
	Removed bool `json:"removed"`
}

// Query asks for the value that each peel of a target shares under a name.
type Query struct {
	Target string `json:"target"`
	Name   string `json:"name"`
	// Nonce is made for this question, so that no answer to an earlier one can
	// be shown as the answer. A peel of before signed answers sends none.
	Nonce string `json:"nonce,omitempty"`
}

// Answer holds the values, of those peels that share one.
type Answer struct {
	Values json.RawMessage `json:"values"` // by the peels' ids
	// Proof is a master's signature over Said; absent when the question has no
	// nonce.
	Proof []byte `json:"proof,omitempty"`
}

// Said is what a master signs of an answer: whom it is for, the question that
// it answers, and the values. It is never sent: each side makes it of what it
// knows.
func Said(reader fleet.PeelID, q Query, values []byte) []byte {
	sum := sha256.Sum256(values)
	var b []byte
	for _, part := range []string{string(reader), q.Target, q.Name, q.Nonce} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return append(b, sum[:]...)
}

// Own is what a peel shares itself, without the values.
type Own struct {
	Items []fleet.BasketItem `json:"items"`
}

// Asker asks a master in a peel's name.
type Asker interface {
	Ask(ctx context.Context, what string, data []byte) ([]byte, error)
}

// Reader asks for what others share, and knows what a master has said.
type Reader interface {
	Asker
	ID() fleet.PeelID
	// Vouched refuses what no master has said to this peel, and counts it.
	Vouched(w job.Word, said, proof []byte) error
}

// Get returns what the peels of a target share under a name, as far as the
// rules let this peel read it. Peels that share nothing there are left out.
func Get(ctx context.Context, r Reader, target, name string) (map[fleet.PeelID]json.RawMessage, error) {
	if err := fleet.CheckBasketName(name); err != nil {
		return nil, err
	}
	q := Query{Target: target, Name: name, Nonce: rand.Text()}
	out, err := ask[Answer](ctx, r, AskGet, q)
	if err != nil {
		return nil, err
	}
	if err := r.Vouched(job.WordBasket, Said(r.ID(), q, out.Values), out.Proof); err != nil {
		return nil, fmt.Errorf("an answer to %s has come that no master has signed for this question; masters of an earlier version sign none: %w", AskGet, err)
	}
	var values map[fleet.PeelID]json.RawMessage
	if err := json.Unmarshal(out.Values, &values); err != nil {
		return nil, fmt.Errorf("the values that %s was answered cannot be read: %w", AskGet, err)
	}
	return values, nil
}

// Set shares a value under a name.
func Set(ctx context.Context, a Asker, p Put) error {
	if err := fleet.CheckBasketName(p.Name); err != nil {
		return err
	}
	if err := fleet.CheckValue(p.Value, fleet.MaxBasketValue); err != nil {
		return err
	}
	data, err := fleet.Encode(p)
	if err == nil {
		_, err = a.Ask(ctx, AskPut, data)
	}
	return err
}

// Remove takes a value back, and reports whether there was one.
func Remove(ctx context.Context, a Asker, name string) (bool, error) {
	if err := fleet.CheckBasketName(name); err != nil {
		return false, err
	}
	out, err := ask[Removed](ctx, a, AskRemove, Name{name})
	return out.Removed, err
}

// List returns what the peel shares itself, sorted by name.
func List(ctx context.Context, a Asker) ([]fleet.BasketItem, error) {
	out, err := ask[Own](ctx, a, AskList, struct{}{})
	return out.Items, err
}

// Configure tells the masters the names of the peel's configuration with the
// values that they have now.
func Configure(ctx context.Context, a Asker, values map[string]json.RawMessage) (Kept, error) {
	k := Keep{Sums: map[string]string{}}
	for name, v := range values {
		k.Sums[name] = Sum(v)
	}
	return ask[Kept](ctx, a, AskKeep, k)
}

// Sum identifies a value.
func Sum(value json.RawMessage) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:16])
}

func ask[Out any](ctx context.Context, a Asker, what string, in any) (out Out, err error) {
	data, err := fleet.Encode(in)
	if err != nil {
		return out, fmt.Errorf("encoding %s: %w", what, err)
	}
	answer, err := a.Ask(ctx, what, data)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("the answer to %s cannot be read: %w", what, err)
	}
	return out, nil
}
