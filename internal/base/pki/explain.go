package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Explain turns what crypto/tls and crypto/x509 say about a failed handshake
// into an error that says what to do. Anything else is returned as it is.
func Explain(err error) error { return explain(err, time.Now()) }

func explain(err error, now time.Time) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		if late := inTime(e.Cert, now); late != nil {
			return late
		}
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return explainHost(e.Certificate, e.Host, err)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errs.New(errs.Unauthorized, "the server's certificate is signed by a CA that is not trusted here; give the server's pin (`%s` on the server shows it) or its CA file: %w", ShowPin, err)
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return errs.New(errs.Invalid, "the other side does not speak TLS%s; check the port, and http:// against https://: %w", spoken(e.RecordHeader), err)
	}
	return err
}

// inTime explains a certificate that is not in its time. Almost always the
// clock is wrong on one of the two machines, so the message shows the clock.
func inTime(cert *x509.Certificate, now time.Time) error {
	clock := now.UTC().Format(time.RFC3339)
	switch {
	case now.Before(cert.NotBefore):
		return errs.New(errs.Unauthorized, "the certificate %s is not valid yet: this machine's clock says %s, and the certificate begins at %s; set the clock (timedatectl shows it) and try again",
			subject(cert), clock, cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return errs.New(errs.Unauthorized, "the certificate %s is not valid any more: this machine's clock says %s, and the certificate ended at %s; if the clock is right, restart the server, which renews it",
			subject(cert), clock, cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

func explainHost(cert *x509.Certificate, host string, err error) error {
	return errs.New(errs.Unauthorized, "the server's certificate is not valid for %q, but for %s; use one of these, or add the host to the server's names: %w",
		shorten(host), names(cert), err)
}

// names lists what a certificate is valid for, bounded.
func names(cert *x509.Certificate) string {
	all := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	const most = 8
	switch {
	case len(all) == 0:
		return "no host at all"
	case len(all) > most:
		all = append(all[:most], "…")
	}
	return shorten(strings.Join(all, ", "))
}

func subject(cert *x509.Certificate) string {
	if cert.Subject.CommonName == "" {
		return "of serial " + cert.SerialNumber.Text(16)
	}
	return `"` + shorten(cert.Subject.CommonName) + `"`
}

// spoken guesses the protocol from the first bytes of what was received.
func spoken(header [5]byte) string {
	switch start := string(header[:]); {
	case start == "HTTP/":
		return ", but plain HTTP"
	case start == "INFO ":
		return ", but NATS"
	case strings.HasPrefix(start, "SSH-"):
		return ", but SSH"
	}
	return ""
}
