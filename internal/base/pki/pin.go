package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

const pinPrefix = "sha256:"

// ShowPin is the command that prints the right pin, for messages.
const ShowPin = "rind server pin"

// PinOf returns the pin of a certificate: "sha256:" and the hexadecimal SHA-256
// of its SubjectPublicKeyInfo (as RFC 7469, section 2.4, computes it). It stays
// the same when the certificate is renewed with the same key.
func PinOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return pinPrefix + hex.EncodeToString(sum[:])
}

// ParsePin returns the pin in its canonical form, or an error that says what a
// pin looks like.
func ParsePin(pin string) (string, error) {
	digits, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(pin)), pinPrefix)
	sum, err := hex.DecodeString(digits)
	if !found || err != nil || len(sum) != sha256.Size {
		return "", errs.New(errs.Invalid, "%q is no pin: a pin is %q and 64 hexadecimal digits; `%s` on the server shows it",
			shorten(pin), pinPrefix, ShowPin)
	}
	return pinPrefix + digits, nil
}

// PinIn returns the pin of the authority in a folder, and makes nothing when
// there is none.
func PinIn(dir string) (string, error) {
	file := filepath.Join(dir, caCertFile)
	text, err := readLimited(file, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return "", errs.New(errs.NotFound, "there is no CA in %s: start the server once, or name its data folder: %w", dir, err)
	}
	if err != nil {
		return "", readError(file, err)
	}
	cert, err := parseCert(file, text)
	if err != nil {
		return "", err
	}
	return PinOf(cert), nil
}

// shorten bounds what is quoted of somebody's input.
func shorten(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
