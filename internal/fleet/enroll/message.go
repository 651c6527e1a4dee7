package enroll

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/fleet"
)

// domain starts whatever a peel's key signs for an enrollment. The same key
// signs the broker's nonces, so a nonce that starts like this is never signed
// (see Identity.Sign): a hostile broker could else collect an answer.
const domain = "rind enroll v1"

// Message is what a peel signs to answer a nonce. The pin is the one of the
// server that the peel itself saw, so that nobody in between can pass on the
// nonce of another server.
func Message(p Purpose, nonce []byte, id fleet.PeelID, publicKey, pin string) []byte {
	return message(string(p), base64.StdEncoding.EncodeToString(nonce), string(id), publicKey, pin)
}

// PollMessage is what a peel signs to ask how its enrollment stands.
func PollMessage(at time.Time, id fleet.PeelID, publicKey, pin string) []byte {
	return message("poll", at.UTC().Format(time.RFC3339Nano), string(id), publicKey, pin)
}

// message joins fields none of which can hold a line feed.
func message(fields ...string) []byte {
	var b bytes.Buffer
	b.WriteString(domain)
	for _, f := range fields {
		b.WriteByte('\n')
		b.WriteString(strings.ReplaceAll(f, "\n", ""))
	}
	return b.Bytes()
}

// Verify checks a signature by the public key of a peel.
func Verify(publicKey string, msg, signature []byte) error {
	key, err := nkeys.FromPublicKey(publicKey)
	if err != nil {
		return fmt.Errorf("reading the public key: %w", err)
	}
	return key.Verify(msg, signature)
}

// Fingerprint is the short form of a public key that people compare.
func Fingerprint(publicKey string) string {
	sum := sha256.Sum256([]byte(publicKey))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
