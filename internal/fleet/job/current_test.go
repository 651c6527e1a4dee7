package job_test

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet/job"
)

func TestTheSigningKeyIsRotated(t *testing.T) {
	t.Parallel()
	at, key, broken := now, keyOf(2), error(nil)
	c, err := job.NewCurrent(keyOf(1), func() (ed25519.PrivateKey, error) { return key, broken }, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	sign := func() []byte {
		t.Helper()
		batch, err := c.Sign(body(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return batch.Message(0)
	}
	v, _ := verifier(t, "")
	before := sign()
	key = keyOf(3)
	after := sign()
	for name, msg := range map[string][]byte{"before": before, "after": after} {
		if _, r := v.Verify(msg); r != nil {
			t.Errorf("signed %s the rotation: %v", name, r)
		}
	}
	// Long after, its delegation is another one, and good.
	at = now.Add(5 * job.DelegationLife)
	b := body()
	b.Signed, b.Expires = at, at.Add(time.Minute)
	batch, err := c.Sign(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := job.OpenSeen("", at)
	if err != nil {
		t.Fatal(err)
	}
	later, err := job.NewVerifier(job.VerifierConfig{ID: "web", Root: keyOf(1).Public().(ed25519.PublicKey), Seen: seen, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if _, r := later.Verify(batch.Message(0)); r != nil {
		t.Errorf("after a long time: %v", r)
	}
	broken = errors.New("the bus does not run")
	if _, err := c.Sign(body(), nil); !errors.Is(err, broken) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := job.NewCurrent(nil, nil, nil); err == nil {
		t.Error("a signer without a root was made")
	}
}
