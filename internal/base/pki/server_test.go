package pki

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

func issue(t *testing.T, ca *CA, hosts ...string) *x509.Certificate {
	t.Helper()
	pair, err := ca.ServerCertificate(hosts)
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Certificate) != 2 {
		t.Errorf("the chain has %d certificates, want the server's and the root", len(pair.Certificate))
	}
	return pair.Leaf
}

func TestServerCertificate(t *testing.T) {
	t.Parallel()
	ca := open(t, t.TempDir())
	leaf := issue(t, ca, "Rind.Example.", "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1", "rind.example")
	for _, host := range []string{"rind.example", "192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if len(leaf.DNSNames) != 1 || leaf.IsCA || leaf.NotAfter.Sub(leaf.NotBefore) != serverLife+backdate {
		t.Errorf("names %v, CA %v, life %v", leaf.DNSNames, leaf.IsCA, leaf.NotAfter.Sub(leaf.NotBefore))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CertPEM())
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "rind.example"}); err != nil {
		t.Error(err)
	}
}

func TestServerCertificateCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	ca, err := openCA(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first := issue(t, ca, "a", "b")
	if !issue(t, ca, "b", "a").Equal(first) || !issue(t, open(t, dir), "a", "b").Equal(first) {
		t.Error("the certificate is not kept")
	}
	if issue(t, ca, "a", "c").Equal(first) {
		t.Error("other hosts get the same certificate")
	}
	if !issue(t, ca, "a", "b").Equal(first) {
		t.Error("one server's hosts made another's certificate vanish")
	}
	now = now.Add(serverLife * 6 / 10)
	if !issue(t, ca, "a", "b").Equal(first) {
		t.Error("renewed too early")
	}
	now = now.Add(serverLife / 10)
	second := issue(t, ca, "a", "b")
	if second.Equal(first) {
		t.Error("not renewed with less than a third left")
	}
	now = now.Add(serverLife * 8 / 10)
	issue(t, ca, "a", "b")
	if files, _ := filepath.Glob(filepath.Join(dir, "server-*")); len(files) != 1 {
		t.Errorf("the expired certificate of other hosts stays: %v", files)
	}
}

func TestServerCertificateReissued(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	issue(t, open(t, other), "a")
	foreign, err := os.ReadFile(filepath.Join(other, serverFile([]string{"a"})))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"foreign": foreign, "empty": nil, "garbage": []byte("garbage")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ca := open(t, dir)
			if err := os.WriteFile(filepath.Join(dir, serverFile([]string{"a"})), text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := issue(t, ca, "a").CheckSignatureFrom(ca.cert); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerCertificateHosts(t *testing.T) {
	t.Parallel()
	ca := open(t, t.TempDir())
	for _, hosts := range [][]string{nil, {""}, {"a:443"}, {"*.example"}, {"a..b"}, {"a b"}, {"https://a"}, {strings.Repeat("a", 64)}, {strings.Repeat("a.", 127) + "aa"}} {
		if _, err := ca.ServerCertificate(hosts); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v", hosts, err)
		}
	}
	if _, err := ca.ServerCertificate([]string{"web_01", "fe80::1%eth0", "localhost"}); err != nil {
		t.Error(err)
	}
}

func TestServerTLSRenews(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	ca, err := openCA(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := ca.ServerTLS([]string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	get := func() *x509.Certificate {
		t.Helper()
		pair, err := cfg.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	first := get()
	now = now.Add(renewEvery)
	if !get().Equal(first) {
		t.Error("renewed without need")
	}
	now = now.Add(serverLife * 7 / 10)
	second := get()
	if second.Equal(first) {
		t.Error("not renewed")
	}
	// With the folder gone the last certificate serves on.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	now = now.Add(serverLife * 7 / 10)
	if !get().Equal(second) {
		t.Error("the certificate is lost together with the folder")
	}
}
