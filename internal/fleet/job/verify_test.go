package job_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func keyOf(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func signer(t *testing.T, root ed25519.PrivateKey, scope string, notAfter time.Time) *job.Signer {
	t.Helper()
	key := keyOf(2)
	d, err := job.Delegate(root, job.Delegation{Key: key.Public().(ed25519.PublicKey), Scope: scope, NotAfter: notAfter})
	if err != nil {
		t.Fatal(err)
	}
	s, err := job.NewSigner(key, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func body() job.Body {
	return job.Body{JID: job.NewJID(), Function: "test.ping", By: "ann", Signed: now, Expires: now.Add(time.Minute), Limit: time.Minute}
}

func message(t *testing.T, s *job.Signer, b job.Body, n int, targets ...fleet.PeelID) []byte {
	t.Helper()
	batch, err := s.Sign(b, targets)
	if err != nil {
		t.Fatal(err)
	}
	return batch.Message(n)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := signer(t, keyOf(1), "*", now.Add(time.Hour))
	good := func(t *testing.T) []byte { return message(t, s, body(), 1, "db", "web", "web-2") }
	at := func(d time.Duration) job.Body {
		b := body()
		b.Signed, b.Expires = b.Signed.Add(d), b.Expires.Add(d)
		return b
	}
	short := body()
	short.Signed, short.Expires = now.Add(-2*time.Minute), now.Add(-time.Second)
	replace := func(old, with string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			msg := good(t)
			if !bytes.Contains(msg, []byte(old)) || len(old) != len(with) {
				t.Fatalf("the message has no %q", old)
			}
			return bytes.Replace(msg, []byte(old), []byte(with), 1)
		}
	}
	tests := []struct {
		name   string
		msg    func(*testing.T) []byte
		reason string // "" runs
		answer bool
	}{
		{"for this peel", good, "", false},
		{"for all", func(t *testing.T) []byte { return message(t, s, body(), 0) }, "", false},
		{"clock 4 minutes behind", func(t *testing.T) []byte { return message(t, s, at(4*time.Minute), 0) }, "", false},
		{"for others", func(t *testing.T) []byte { return message(t, s, body(), 0, "db", "app") }, job.ReasonAddress, false},
		{"another's path", func(t *testing.T) []byte { return message(t, s, body(), 0, "db", "web") }, job.ReasonAddress, false},
		{"made for all of a set", replace(`"targets":3`, `"all":true `), job.ReasonSignature, false},
		{"changed function", replace("test.ping", "test.pong"), job.ReasonSignature, false},
		{"wider scope", replace(`"scope":"*"`, `"scope":"w"`), job.ReasonSignature, false},
		{"other root", func(t *testing.T) []byte { return message(t, signer(t, keyOf(9), "*", now.Add(time.Hour)), body(), 0) }, job.ReasonSignature, false},
		{"last byte", func(t *testing.T) []byte { m := good(t); m[len(m)-1] ^= 1; return m }, job.ReasonAddress, false},
		{"cut off", func(t *testing.T) []byte { m := good(t); return m[:len(m)-1] }, job.ReasonMalformed, false},
		{"something behind", func(t *testing.T) []byte { return append(good(t), 0) }, job.ReasonMalformed, false},
		{"nothing", func(*testing.T) []byte { return nil }, job.ReasonMalformed, false},
		{"bare body", func(*testing.T) []byte { return []byte(`{"function":"cmd.run"}`) }, job.ReasonMalformed, false},
		{"unsigned", func(t *testing.T) []byte { return unsigned(t) }, job.ReasonUnsigned, false},
		{"clock an hour behind", func(t *testing.T) []byte { return message(t, s, at(time.Hour), 0) }, job.ReasonClock, true},
		{"clock an hour ahead", func(t *testing.T) []byte { return message(t, s, at(-time.Hour), 0) }, job.ReasonClock, true},
		{"expired", func(t *testing.T) []byte { return message(t, s, short, 0) }, job.ReasonExpired, true},
		{"outside the key's scope", func(t *testing.T) []byte {
			return message(t, signer(t, keyOf(1), "db*", now.Add(time.Hour)), body(), 0)
		}, job.ReasonScope, true},
		{"inside the key's scope", func(t *testing.T) []byte {
			return message(t, signer(t, keyOf(1), "w*", now.Add(time.Hour)), body(), 0)
		}, "", false},
		{"delegation over", func(t *testing.T) []byte {
			return message(t, signer(t, keyOf(1), "*", now.Add(-time.Second)), body(), 0)
		}, job.ReasonDelegation, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, refused := verifier(t, "")
			b, r := v.Verify(tt.msg(t))
			if tt.reason == "" {
				if r != nil || b.Function != "test.ping" {
					t.Fatalf("refused: %v", r)
				}
				return
			}
			if r == nil || r.Reason != tt.reason || r.Answer != tt.answer {
				t.Fatalf("got %+v, want %s, answered %v", r, tt.reason, tt.answer)
			}
			if n := refused(tt.reason); n != 1 {
				t.Errorf("counted %v times", n)
			}
			if r.Answer && (b == nil || b.JID == "") {
				t.Error("it is to be answered, but the job is not known")
			}
		})
	}
}

// unsigned builds a message with empty signatures by hand.
func unsigned(t *testing.T) []byte {
	t.Helper()
	b := []byte("RJ\x00\x01")
	for _, part := range []string{`{"key":""}`, "", `{"function":"cmd.run"}`, ""} {
		b = append(append(b, byte(len(part))), part...)
	}
	return append(b, 0, 0)
}

func verifier(t *testing.T, file string) (*job.Verifier, func(string) float64) {
	t.Helper()
	seen, err := job.OpenSeen(file, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { seen.Close() })
	refused := job.NewRefused()
	v, err := job.NewVerifier(job.VerifierConfig{ID: "web", Root: keyOf(1).Public().(ed25519.PublicKey), Seen: seen,
		Now: func() time.Time { return now }, Refused: refused})
	if err != nil {
		t.Fatal(err)
	}
	return v, func(reason string) float64 { return testutil.ToFloat64(refused.WithLabelValues(reason)) }
}

func TestAJobRunsOnce(t *testing.T) {
	t.Parallel()
	s := signer(t, keyOf(1), "*", now.Add(time.Hour))
	msg := message(t, s, body(), 0)
	file := filepath.Join(t.TempDir(), "seen")
	ran := 0
	for range 3 { // the file is opened anew each time, as after a restart
		v, refused := verifier(t, file)
		for range 2 {
			if _, r := v.Verify(msg); r == nil {
				ran++
			} else if r.Reason != job.ReasonReplayed || r.Answer {
				t.Errorf("refused as %+v", r)
			}
		}
		if refused(job.ReasonReplayed) == 0 {
			t.Error("no replay was counted")
		}
	}
	if ran != 1 {
		t.Errorf("it ran %d times", ran)
	}
}

func TestEveryTargetOfATree(t *testing.T) {
	t.Parallel()
	s := signer(t, keyOf(1), "*", now.Add(time.Hour))
	for _, size := range []int{1, 2, 3, 4, 5, 7, 8, 9, 33} {
		var ids []fleet.PeelID
		for n := range size {
			ids = append(ids, fleet.PeelID(fmt.Sprintf("p%d", n)))
		}
		for at := range size {
			ids[at] = "web"
			batch, err := s.Sign(body(), ids)
			if err != nil {
				t.Fatal(err)
			}
			for n := range size {
				v, _ := verifier(t, "")
				if _, r := v.Verify(batch.Message(n)); (r == nil) != (n == at) {
					t.Fatalf("%d targets, leaf %d, message %d: %v", size, at, n, r)
				}
			}
			ids[at] = fleet.PeelID(fmt.Sprintf("p%d", at))
		}
	}
}

func FuzzVerify(f *testing.F) {
	key := keyOf(2)
	d, err := job.Delegate(keyOf(1), job.Delegation{Key: key.Public().(ed25519.PublicKey), Scope: "*", NotAfter: now.Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	s, err := job.NewSigner(key, d)
	if err != nil {
		f.Fatal(err)
	}
	batch, err := s.Sign(body(), []fleet.PeelID{"db", "web", "app"})
	if err != nil {
		f.Fatal(err)
	}
	good := batch.Message(1)
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte("RJ\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		v, _ := verifier(t, "")
		if _, r := v.Verify(msg); r == nil && !bytes.Equal(msg, good) {
			// Another encoding of a length would be the same job; anything else
			// is a forgery.
			if !bytes.Contains(msg, []byte(`"function":"test.ping"`)) {
				t.Errorf("a message that nobody signed is run: %x", msg)
			}
		}
	})
}
