package pki

import (
	"crypto/x509"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// verifyPinned checks a server's chain against a canonical pin. An empty host
// is not checked.
func verifyPinned(chain []*x509.Certificate, pin, host string, now time.Time) error {
	if len(chain) == 0 {
		return errs.New(errs.Unauthorized, "the server showed no certificate")
	}
	pinned := find(chain, pin)
	if pinned == nil {
		last := chain[len(chain)-1]
		return errs.New(errs.Unauthorized, "the server is not the one that was expected: its pin is %s, expected was %s; "+
			"run `%s` on the server and compare: if it prints the first, use that one, else somebody stands in between", PinOf(last), pin, ShowPin)
	}
	leaf := chain[0]
	for _, cert := range []*x509.Certificate{leaf, pinned} {
		if err := inTime(cert, now); err != nil {
			return err
		}
	}
	if !pinned.Equal(leaf) {
		if err := signedBy(chain, pinned, now); err != nil {
			return err
		}
	}
	if host == "" {
		return nil
	}
	if err := leaf.VerifyHostname(host); err != nil {
		return explainHost(leaf, host, err)
	}
	return nil
}

func find(chain []*x509.Certificate, pin string) *x509.Certificate {
	for _, cert := range chain {
		if PinOf(cert) == pin {
			return cert
		}
	}
	return nil
}

// signedBy checks that the first certificate of the chain leads to the root,
// and may be used by a server.
func signedBy(chain []*x509.Certificate, root *x509.Certificate, now time.Time) error {
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now}
	opts.Roots.AddCert(root)
	for _, cert := range chain[1:] {
		if !cert.Equal(root) {
			opts.Intermediates.AddCert(cert)
		}
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return errs.New(errs.Unauthorized, "the server shows the expected CA, but its own certificate was not signed by it, so somebody may stand in between: %w", err)
	}
	return nil
}
