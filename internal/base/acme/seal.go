package acme

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"github.com/rind-project/rind/internal/base/errs"
)

// sealed begins every value: the form's version.
const sealed = 1

// seal encrypts values with AES-256-GCM. The name under which a value is kept
// is authenticated with it, so that values cannot be exchanged in the database.
type seal struct{ aead cipher.AEAD }

func newSeal(key []byte) (seal, error) {
	if len(key) != 32 {
		return seal{}, errs.New(errs.Internal, "the key of the ACME storage has %d bytes, not 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return seal{}, err
	}
	aead, err := cipher.NewGCM(block)
	return seal{aead}, err
}

func (s seal) close(name string, value []byte) []byte {
	out := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(value)+s.aead.Overhead())
	out[0] = sealed
	nonce := out[1:]
	_, _ = rand.Read(nonce) // never fails, says crypto/rand
	return s.aead.Seal(out, nonce, value, []byte(name))
}

func (s seal) open(name string, value []byte) ([]byte, error) {
	n := 1 + s.aead.NonceSize()
	if len(value) < n || value[0] != sealed {
		return nil, errs.New(errs.Invalid, "the value %q in the table acme_data is damaged; delete its row: it is obtained again", name)
	}
	plain, err := s.aead.Open(nil, value[1:n], value[n:], []byte(name))
	if err != nil {
		return nil, errs.New(errs.Invalid, "the value %q in the table acme_data was encrypted with another key: all servers of a fleet have the same pki/ca.key in their data folders; "+
			"give this one the fleet's, or delete the rows of acme_data: they are obtained again", name)
	}
	return plain, nil
}
