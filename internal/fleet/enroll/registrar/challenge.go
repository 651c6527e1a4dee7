package registrar

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// challenge is a nonce with what it was given for. The bucket forgets it after
// five minutes.
type challenge struct {
	Nonce     []byte         `json:"nonce"`
	Purpose   enroll.Purpose `json:"purpose"`
	ID        fleet.PeelID   `json:"id"`
	PublicKey string         `json:"public_key"`
	Hostname  string         `json:"hostname,omitempty"`
	Version   string         `json:"version,omitempty"`
	TokenID   string         `json:"token_id,omitempty"`
	Auto      bool           `json:"auto,omitempty"` // the token approves
}

// newChallenge keeps a challenge under a random name.
func (r *Registrar) newChallenge(ctx context.Context, c challenge) (name string, nonce []byte, err error) {
	_, challenges, _, err := r.buckets()
	if err != nil {
		return "", nil, err
	}
	random := make([]byte, enroll.ChallengeBytes)
	c.Nonce = make([]byte, enroll.NonceBytes)
	rand.Read(random)
	rand.Read(c.Nonce)
	data, err := json.Marshal(c)
	if err != nil {
		return "", nil, fmt.Errorf("keeping a nonce: %w", err)
	}
	name = hex.EncodeToString(random)
	if _, err := challenges.Create(ctx, name, data); err != nil {
		return "", nil, errs.New(errs.Unavailable, "the server cannot keep a nonce just now; try again: %w", bus.Explain(bus.EnrollChallenges, err))
	}
	return name, c.Nonce, nil
}

// takeChallenge reads a challenge and deletes it. Of two that take the same
// one, one fails.
func (r *Registrar) takeChallenge(ctx context.Context, name string) (challenge, error) {
	var c challenge
	_, challenges, _, err := r.buckets()
	if err != nil {
		return c, err
	}
	unknown := errs.New(errs.Gone, "the nonce is unknown, used or older than five minutes; begin again")
	e, err := challenges.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return c, unknown
	}
	if err != nil {
		return c, errs.New(errs.Unavailable, "the server cannot read the nonce just now; try again: %w", bus.Explain(bus.EnrollChallenges, err))
	}
	err = challenges.Delete(ctx, name, jetstream.LastRevision(e.Revision()))
	if changed(err) {
		return c, unknown
	}
	if err != nil {
		return c, errs.New(errs.Unavailable, "the server cannot use up the nonce just now; try again: %w", bus.Explain(bus.EnrollChallenges, err))
	}
	if err := json.Unmarshal(e.Value(), &c); err != nil {
		return c, fmt.Errorf("reading a nonce: %w", err)
	}
	return c, nil
}
