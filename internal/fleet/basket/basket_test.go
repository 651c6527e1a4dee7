package basket_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/job"
)

// reader is the peel web, which somebody answers who may have the rights of a
// server.
type reader struct {
	verify *job.Verifier
	answer func(basket.Query) basket.Answer
}

func (*reader) ID() fleet.PeelID { return "web" }

func (r *reader) Ask(_ context.Context, _ string, data []byte) ([]byte, error) {
	var q basket.Query
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	return json.Marshal(r.answer(q))
}

func (r *reader) Vouched(w job.Word, said, proof []byte) error {
	if refusal := r.verify.Vouched(w, said, proof); refusal != nil {
		return refusal
	}
	return nil
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigner(t *testing.T, root ed25519.PrivateKey, until time.Time) *job.Signer {
	t.Helper()
	s, err := job.SelfDelegated(root, newKey(t), until)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOwningTheBrokerIsNotAnsweringForTheFleet answers a peel that asks for
// values: it takes what a delegated key has signed for it, for the question that
// it asked, and for these values.
func TestOwningTheBrokerIsNotAnsweringForTheFleet(t *testing.T) {
	t.Parallel()
	root, soon := newKey(t), time.Now().Add(time.Hour)
	good, forged, past := newSigner(t, root, soon), newSigner(t, newKey(t), soon), newSigner(t, root, time.Now().Add(-time.Minute))
	verify, err := job.NewVerifier(job.VerifierConfig{ID: "web", Root: root.Public().(ed25519.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	const values = `{"db":"192.0.2.1"}`
	signed := func(s *job.Signer, w job.Word, who fleet.PeelID, q basket.Query) basket.Answer {
		proof, err := s.Vouch(w, basket.Said(who, q, []byte(values)))
		if err != nil {
			t.Fatal(err)
		}
		return basket.Answer{Values: json.RawMessage(values), Proof: proof}
	}
	other := func(change func(*basket.Query)) func(basket.Query) basket.Answer {
		return func(q basket.Query) basket.Answer {
			change(&q)
			return signed(good, job.WordBasket, "web", q)
		}
	}
	for name, tt := range map[string]struct {
		reason string // "" is taken
		answer func(basket.Query) basket.Answer
	}{
		"a master's":                  {"", other(func(*basket.Query) {})},
		"unsigned":                    {job.ReasonUnsigned, func(basket.Query) basket.Answer { return basket.Answer{Values: json.RawMessage(values)} }},
		"another root's":              {job.ReasonSignature, func(q basket.Query) basket.Answer { return signed(forged, job.WordBasket, "web", q) }},
		"of a key whose time is over": {job.ReasonDelegation, func(q basket.Query) basket.Answer { return signed(past, job.WordBasket, "web", q) }},
		"for another peel":            {job.ReasonSignature, func(q basket.Query) basket.Answer { return signed(good, job.WordBasket, "db", q) }},
		"of another kind":             {job.ReasonSignature, func(q basket.Query) basket.Answer { return signed(good, job.WordSettings, "web", q) }},
		"for an earlier question":     {job.ReasonSignature, other(func(q *basket.Query) { q.Nonce = "earlier" })},
		"for another target":          {job.ReasonSignature, other(func(q *basket.Query) { q.Target = "evil" })},
		"for another name":            {job.ReasonSignature, other(func(q *basket.Query) { q.Name = "port" })},
		"other values": {job.ReasonSignature, func(q basket.Query) basket.Answer {
			a := signed(good, job.WordBasket, "web", q)
			a.Values = json.RawMessage(`{"db":"198.51.100.66"}`)
			return a
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := basket.Get(t.Context(), &reader{verify, tt.answer}, "db", "addr")
			if tt.reason == "" {
				if err != nil || string(got["db"]) != `"192.0.2.1"` {
					t.Errorf("it reads %s, %v", got["db"], err)
				}
				return
			}
			var refusal *job.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != tt.reason || !strings.Contains(err.Error(), "no master has signed") || got != nil {
				t.Errorf("it reads %v, %v; want a refusal for %s", got, err, tt.reason)
			}
		})
	}
}
