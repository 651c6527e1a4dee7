// Package pki is the fleet's own certificate authority, and the client half
// that trusts it by a pin: the hash of its public key, short enough to stand in
// a join command.
//
// The authority is one ECDSA P-256 root that lives for ten years in a folder of
// the server, and signs certificates of servers only.
package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Files of the authority in its folder. The key has mode 0600.
const (
	caKeyFile  = "ca.key"
	caCertFile = "ca.crt"
)

// Lifetimes of certificates, and how far into the past they begin, because the
// clocks of a fleet differ.
const (
	rootLife   = 10 * 365 * 24 * time.Hour
	serverLife = 365 * 24 * time.Hour
	backdate   = time.Hour
)

// CA is a certificate authority. Use OpenCA.
type CA struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	now  func() time.Time

	mu sync.Mutex // one certificate is issued at a time
}

// OpenCA loads the authority from a folder, or makes folder and authority. Two
// processes that do so at once get the same one.
//
// A certificate that is missing beside its key is made again with that key, so
// the pin stays. A key that is missing beside its certificate is an error: a
// new one would lock out everybody who pinned the old one.
func OpenCA(dir string) (*CA, error) { return openCA(dir, time.Now) }

func openCA(dir string, now func() time.Time) (*CA, error) {
	if err := privateFolder(dir); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()

	ca := &CA{dir: dir, now: now}
	if err := ca.loadKey(); err != nil {
		return nil, err
	}
	if err := ca.loadCert(); err != nil {
		return nil, err
	}
	return ca, nil
}

func (ca *CA) path(name string) string { return filepath.Join(ca.dir, name) }

// loadKey reads the root's key, or makes it when the folder has no authority.
func (ca *CA) loadKey() error {
	text, err := readPrivate(ca.path(caKeyFile))
	if err == nil {
		ca.key, err = parseKey(ca.path(caKeyFile), text)
		return err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(ca.path(caCertFile)); err == nil {
		return errs.New(errs.NotFound, "the CA's key %s is missing while its certificate is there; restore the key from a backup, or remove %s to begin a new CA, which every peel and tap must then be told",
			ca.path(caKeyFile), ca.path(caCertFile))
	}
	ca.key, text, err = newKey()
	if err != nil {
		return err
	}
	return writePrivate(ca.path(caKeyFile), text)
}

// loadCert reads the root's certificate, or signs it.
func (ca *CA) loadCert() error {
	file := ca.path(caCertFile)
	text, err := readPrivate(file)
	if errors.Is(err, os.ErrNotExist) {
		if ca.cert, err = selfSign(ca.key, ca.now()); err != nil {
			return err
		}
		return writePrivate(file, ca.CertPEM())
	}
	if err != nil {
		return err
	}
	if ca.cert, err = parseCert(file, text); err != nil {
		return err
	}
	return ca.checkRoot(file)
}

func (ca *CA) checkRoot(file string) error {
	if !ca.key.PublicKey.Equal(ca.cert.PublicKey) {
		return errs.New(errs.Invalid, "%s and %s do not belong together; restore both from one backup", file, ca.path(caKeyFile))
	}
	if !ca.cert.IsCA {
		return errs.New(errs.Invalid, "%s is not the certificate of a CA; restore it from a backup, or remove it: it is made again from the key", file)
	}
	return inTime(ca.cert, ca.now())
}

// CertPEM returns the root's certificate in PEM form.
func (ca *CA) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: ca.cert.Raw})
}

// Pin returns the pin of the root, "sha256:<hex>".
func (ca *CA) Pin() string { return PinOf(ca.cert) }
