package enroll

import (
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Validate checks what can be checked without knowing anything.
func (r BeginRequest) Validate() error {
	if err := identity(r.ID, r.PublicKey); err != nil {
		return err
	}
	switch r.Purpose {
	case "", ForJoin:
		if r.Token == "" || len(r.Token) > MaxToken {
			return errs.New(errs.Unauthorized, "a token is needed: run rind enroll token on the server and use the command that it prints")
		}
	case ForRenew:
		if r.Token != "" {
			return errs.New(errs.Invalid, "a renewal takes no token")
		}
	default:
		return errs.New(errs.Invalid, "the purpose %q is unknown", truncate(string(r.Purpose)))
	}
	if err := plain("hostname", r.Hostname, MaxHostname); err != nil {
		return err
	}
	if err := plain("version", r.Version, MaxVersion); err != nil {
		return err
	}
	return moment(r.Time)
}

// Validate checks what can be checked without knowing anything.
func (r AnswerRequest) Validate() error {
	if len(r.Challenge) != 2*ChallengeBytes {
		return errs.New(errs.Invalid, "the challenge is none that this server gave; begin again")
	}
	for _, c := range []byte(r.Challenge) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return errs.New(errs.Invalid, "the challenge is none that this server gave; begin again")
		}
	}
	if len(r.Signature) != signatureBytes {
		return errs.New(errs.Invalid, "the signature has %d bytes; it has to have %d", len(r.Signature), signatureBytes)
	}
	return identity(r.ID, r.PublicKey)
}

// Validate checks what can be checked without knowing anything.
func (r PollRequest) Validate() error {
	if len(r.Signature) != signatureBytes {
		return errs.New(errs.Invalid, "the signature has %d bytes; it has to have %d", len(r.Signature), signatureBytes)
	}
	if err := moment(r.Time); err != nil {
		return err
	}
	return identity(r.ID, r.PublicKey)
}

// Lengths of what names and answers a nonce.
const (
	ChallengeBytes = 16
	NonceBytes     = 32
	signatureBytes = 64
)

func identity(id fleet.PeelID, publicKey string) error {
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return errs.New(errs.Invalid, "%w", err)
	}
	if len(publicKey) != 56 || !nkeys.IsValidPublicUserKey(publicKey) {
		return errs.New(errs.Invalid, "the public key of %s is none of an NATS user", id)
	}
	return nil
}

// plain refuses text that would garble a terminal or a page.
func plain(what, s string, limit int) error {
	if len(s) > limit {
		return errs.New(errs.Invalid, "the %s has %d bytes, at most %d are allowed", what, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return errs.New(errs.Invalid, "the %s is no text", what)
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return errs.New(errs.Invalid, "the %s has a character that cannot be printed", what)
		}
	}
	return nil
}

func moment(t time.Time) error {
	if t.IsZero() || t.Year() < 1970 || t.Year() > 9999 {
		return errs.New(errs.Invalid, "the request does not say what time it is at the host")
	}
	return nil
}

func truncate(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
