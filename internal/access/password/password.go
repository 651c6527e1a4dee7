// Package password turns passwords into Argon2id hashes and checks them
// (RFC 9106), with a bound on how many it computes at once, since each takes
// 19 MiB and tens of milliseconds.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/rind-project/rind/internal/base/errs"
)

// The cost: 19 MiB, two passes, one lane, which is the smaller of the settings
// that OWASP's password storage cheat sheet holds for equal.
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	lanes   = 1
	keySize = 32
	salted  = 16
)

// What a password must be. Length is what makes it strong (NIST SP 800-63B,
// 5.1.1.2); there are no rules about kinds of characters.
const (
	MinRunes = 10
	MaxBytes = 1024
)

// Limits of a Hasher.
const (
	atOnce     = 2
	maxWaiting = 64
	maxWait    = 5 * time.Second
)

// Hasher computes hashes, two at once. Use New.
type Hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
}

// New makes a Hasher.
func New() *Hasher { return &Hasher{slots: make(chan struct{}, atOnce)} }

// Check says whether a password may be set for the named user.
func Check(name, password string) error {
	switch {
	case len(password) > MaxBytes:
		return errs.New(errs.Invalid, "the password has %d bytes; at most %d are allowed", len(password), MaxBytes)
	case !utf8.ValidString(password):
		return errs.New(errs.Invalid, "the password is not valid UTF-8")
	case utf8.RuneCountInString(password) < MinRunes:
		return errs.New(errs.Invalid, "the password has fewer than %d characters; choose a longer one", MinRunes)
	case name != "" && strings.EqualFold(strings.Trim(password, "0123456789!.-_"), name):
		return errs.New(errs.Invalid, "the password is the user's name; choose another")
	}
	return nil
}

// Hash returns the hash of a password with a salt of its own, in the PHC
// string format.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	salt := make([]byte, salted)
	_, _ = rand.Read(salt) // never fails
	return encode(salt, argon2.IDKey([]byte(password), salt, passes, memory, lanes, keySize)), nil
}

// Verify reports whether the password is the one that was hashed. With an
// encoded "" it takes as long and reports false, so that the time does not
// tell whether a user exists. Once begun it is not cut short.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (bool, error) {
	real := encoded != ""
	if !real {
		encoded = encode(make([]byte, salted), make([]byte, keySize))
	}
	salt, want, err := decode(encoded)
	if err != nil {
		return false, err
	}
	if len(password) > MaxBytes { // no such password was ever set
		real, password = false, ""
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, keySize)
	return subtle.ConstantTimeCompare(got, want) == 1 && real, nil
}

// acquire waits for a slot, neither long nor in a long queue.
func (h *Hasher) acquire(ctx context.Context) (func(), error) {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return nil, busy()
	}
	defer h.waiting.Add(-1)
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-timer.C:
		return nil, busy()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func busy() error {
	return errs.New(errs.Unavailable, "too many passwords are being checked just now; try again in a few seconds")
}

// encode writes the PHC string.
func encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// decode reads what encode wrote. Other costs are refused: there were none.
func decode(encoded string) (salt, key []byte, err error) {
	prefix := fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, memory, passes, lanes)
	rest, ok := strings.CutPrefix(encoded, prefix)
	first, second, two := strings.Cut(rest, "$")
	if !ok || !two {
		return nil, nil, fmt.Errorf("a stored password hash is not of the form %s…", prefix)
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(first)
	key, err2 := base64.RawStdEncoding.DecodeString(second)
	if err1 != nil || err2 != nil || len(salt) != salted || len(key) != keySize {
		return nil, nil, fmt.Errorf("a stored password hash is damaged")
	}
	return salt, key, nil
}
