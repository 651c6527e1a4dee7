package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Types of PEM blocks.
const (
	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY"
)

// newKey makes a P-256 key, and its PKCS #8 form in PEM.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

func parseKey(file string, text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, errs.New(errs.Invalid, "%s holds no key in PEM form; restore it from a backup", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s is damaged; restore it from a backup: %w", file, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errs.New(errs.Invalid, "%s holds a key of type %T, not ECDSA; restore it from a backup", file, parsed)
	}
	return key, nil
}

func parseCert(file string, text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != certBlock {
		return nil, errs.New(errs.Invalid, "%s holds no certificate in PEM form; restore it from a backup, or remove it: it is made again from the key", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s is damaged; restore it from a backup, or remove it: it is made again from the key: %w", file, err)
	}
	return cert, nil
}

// selfSign makes the root. Its path length is zero: it signs servers, not CAs.
func selfSign(key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Rind"}, CommonName: "Rind root"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(rootLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return sign(template, template, key, key)
}

// signServer makes a server's certificate for hosts: names and IP addresses.
func (ca *CA) signServer(hosts []string, usages []x509.ExtKeyUsage, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	now := ca.now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Rind"}, CommonName: "Rind server"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(serverLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           usages,
		BasicConstraintsValid: true,
	}
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.WithZone("").AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return sign(template, ca.cert, key, ca.key)
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate %q: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// serial returns 127 random bits, never zero (RFC 5280, section 4.1.2.2).
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
