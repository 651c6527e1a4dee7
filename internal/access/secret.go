package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// secretSize is the size of a secret in bytes. With 256 random bits a fast
// hash is right: there is nothing to guess.
const secretSize = 32

// newSecret makes a secret as text.
func newSecret() string {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// hashSecret is what is stored of a secret.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// validSecret tells whether text can be a secret, before the database is
// asked.
func validSecret(secret string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	return err == nil && len(b) == secretSize
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newPublicID makes the public part of a token, 16 characters.
func newPublicID() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b)
	return lowerBase32.EncodeToString(b)
}

// validPublicID tells whether text can be the public part of a token.
func validPublicID(id string) bool {
	b, err := lowerBase32.DecodeString(id)
	return err == nil && len(b) == 10 && len(id) == 16 // decoding skips line ends
}

// newPassword makes a one-time password of 120 random bits that a person can
// type.
func newPassword() string {
	b := make([]byte, 15)
	_, _ = rand.Read(b)
	s := lowerBase32.EncodeToString(b)
	return strings.Join([]string{s[:6], s[6:12], s[12:18], s[18:]}, "-")
}
