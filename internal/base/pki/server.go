package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// maxHosts bounds the names of one certificate.
const maxHosts = 100

// ServerCertificate returns a certificate for the hosts, names or IP addresses
// in any order, with the root behind it in its chain. It is kept in the CA's
// folder and comes from there until a third of its life is left.
func (ca *CA) ServerCertificate(hosts []string) (tls.Certificate, error) {
	hosts, err := canonical(hosts)
	if err != nil {
		return tls.Certificate{}, err
	}
	return ca.kept(ca.path(serverFile(hosts)), hosts, x509.ExtKeyUsageServerAuth)
}

// kept takes a certificate from its file until a third of its life is left,
// and then makes it anew.
func (ca *CA) kept(file string, hosts []string, usages ...x509.ExtKeyUsage) (tls.Certificate, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	unlock, err := lockFolder(ca.dir)
	if err != nil {
		return tls.Certificate{}, err
	}
	defer unlock()

	text, err := readPrivate(file)
	if err == nil {
		if pair, err := tls.X509KeyPair(text, text); err == nil && ca.current(pair.Leaf) {
			return pair, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return tls.Certificate{}, err
	}
	return ca.issue(file, hosts, usages)
}

// ServerTLS returns a server's configuration whose certificate renews itself
// while the server runs. Renewal needs the folder; when it fails, the last
// certificate goes on being used.
func (ca *CA) ServerTLS(hosts []string) (*tls.Config, error) {
	first, err := ca.ServerCertificate(hosts)
	if err != nil {
		return nil, err
	}
	hosts = slices.Clone(hosts)
	issue := func() (tls.Certificate, error) { return ca.ServerCertificate(hosts) }
	r := &renewer{ca: ca, issue: issue, pair: &first, checked: ca.now()}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: r.get}, nil
}

// canonical sorts the hosts and refuses what cannot stand in a certificate.
func canonical(hosts []string) ([]string, error) {
	out := make([]string, 0, len(hosts))
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			out = append(out, addr.Unmap().WithZone("").String())
			continue
		}
		name := strings.TrimSuffix(strings.ToLower(host), ".")
		if !validName(name) {
			return nil, errs.New(errs.Invalid, "%q cannot stand in a certificate: a host is a DNS name or an IP address, without a port", shorten(host))
		}
		out = append(out, name)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 || len(out) > maxHosts {
		return nil, errs.New(errs.Invalid, "a server's certificate needs 1 to %d hosts, not %d", maxHosts, len(out))
	}
	return out, nil
}

// validName accepts what RFC 1123 does, and underscores, which hosts do have.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// serverFile names the file for a set of hosts, so that two servers of one
// folder with different hosts do not renew each other's certificates for ever.
func serverFile(hosts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(hosts, "\n")))
	return "server-" + hex.EncodeToString(sum[:6]) + ".pem"
}

// current reports whether a kept certificate is ours and has enough time left.
func (ca *CA) current(leaf *x509.Certificate) bool {
	now := ca.now()
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return leaf.CheckSignatureFrom(ca.cert) == nil &&
		!now.Before(leaf.NotBefore) && leaf.NotAfter.Sub(now) > life/3
}

// issue signs a certificate, keeps it, and removes files that have expired.
func (ca *CA) issue(file string, hosts []string, usages []x509.ExtKeyUsage) (tls.Certificate, error) {
	if err := inTime(ca.cert, ca.now()); err != nil {
		return tls.Certificate{}, err
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := ca.signServer(hosts, usages, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: cert.Raw})
	text := bytes.Join([][]byte{leaf, ca.CertPEM(), keyPEM}, nil)
	if err := writePrivate(file, text); err != nil {
		return tls.Certificate{}, err
	}
	ca.removeExpired()
	return tls.X509KeyPair(text, text)
}

// removeExpired is housekeeping; whatever it cannot remove does no harm.
func (ca *CA) removeExpired() {
	files, _ := filepath.Glob(ca.path("server-*.pem"))
	for _, file := range files {
		text, err := readPrivate(file)
		if err != nil {
			continue
		}
		if cert, err := parseCert(file, text); err == nil && ca.now().After(cert.NotAfter) {
			_ = os.Remove(file)
		}
	}
}

// renewEvery is how often a running server looks at the age of its certificate.
const renewEvery = time.Hour
