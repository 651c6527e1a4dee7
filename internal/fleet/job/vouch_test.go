package job_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet/job"
)

func TestVouched(t *testing.T) {
	t.Parallel()
	s := signer(t, keyOf(1), "*", now.Add(time.Hour))
	vouch := func(s *job.Signer, w job.Word, said string) []byte {
		proof, err := s.Vouch(w, []byte(said))
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	good := vouch(s, job.WordSettings, "said")
	changed := bytes.Clone(good)
	changed[len(changed)-1] ^= 1
	job1 := message(t, s, body(), 0)
	for name, tt := range map[string]struct {
		proof  []byte
		reason string // "" is taken
	}{
		"good":                    {good, ""},
		"inside the key's scope":  {vouch(signer(t, keyOf(1), "web", now.Add(time.Hour)), job.WordSettings, "said"), ""},
		"nothing":                 {nil, job.ReasonUnsigned},
		"no signatures":           {[]byte("RV\x00\x01\x00\x00\x00"), job.ReasonUnsigned},
		"of something else":       {vouch(s, job.WordSettings, "else"), job.ReasonSignature},
		"of another kind":         {vouch(s, "rind job v1\x00", "said"), job.ReasonSignature},
		"changed":                 {changed, job.ReasonSignature},
		"other root":              {vouch(signer(t, keyOf(9), "*", now.Add(time.Hour)), job.WordSettings, "said"), job.ReasonSignature},
		"outside the key's scope": {vouch(signer(t, keyOf(1), "db*", now.Add(time.Hour)), job.WordSettings, "said"), job.ReasonScope},
		"delegation over":         {vouch(signer(t, keyOf(1), "*", now.Add(-time.Second)), job.WordSettings, "said"), job.ReasonDelegation},
		"cut off":                 {good[:len(good)-1], job.ReasonMalformed},
		"something behind":        {append(bytes.Clone(good), 0), job.ReasonMalformed},
		"too long":                {append(bytes.Clone(good), make([]byte, 8<<10)...), job.ReasonMalformed},
		"a job":                   {job1, job.ReasonMalformed},
	} {
		v, _ := verifier(t, "")
		r := v.Vouched(job.WordSettings, []byte("said"), tt.proof)
		switch {
		case tt.reason == "" && r != nil:
			t.Errorf("%s is refused: %v", name, r)
		case tt.reason != "" && (r == nil || r.Reason != tt.reason):
			t.Errorf("%s: got %+v, want %s", name, r, tt.reason)
		}
	}
}

func FuzzVouched(f *testing.F) {
	key := keyOf(2)
	s, err := job.SelfDelegated(keyOf(1), key, now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.Vouch(job.WordSettings, []byte("said"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("RV\x00\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, proof []byte) {
		v, _ := verifier(t, "")
		if r := v.Vouched(job.WordSettings, []byte("said"), proof); r == nil && !bytes.HasSuffix(proof, good[len(good)-ed25519.SignatureSize:]) {
			t.Errorf("taken: %q", proof)
		}
	})
}
