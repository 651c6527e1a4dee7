package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair writes a certificate of a CA for the hosts, as another program does.
func writePair(t *testing.T, ca *CA, cert, key string, hosts ...string) {
	t.Helper()
	k, text, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.signServer(hosts, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, k)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{cert: pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: leaf.Raw}), key: text} {
		if err := os.WriteFile(file+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

// shown is the certificate that a server shows a client.
func shown(t *testing.T, server *tls.Config, client *tls.Config) *x509.Certificate {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", ln.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func TestGivenCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	own, err := OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	company, err := OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, company, cert, key, "rind.example.net")
	var told []error
	given, err := openGiven(cert, key, func(err error) { told = append(told, err) }, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	base, err := own.ServerTLS([]string{"rind.example.net", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	base.NextProtos = []string{"h2", "http/1.1"}
	server := Prefer(base, given.Get)
	blind := func(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }

	first := shown(t, server, blind("rind.example.net"))
	if first.CheckSignatureFrom(company.cert) != nil {
		t.Error("who asks by name does not see the given certificate")
	}
	if c := shown(t, server, blind("other.example.net")); c.CheckSignatureFrom(own.cert) != nil {
		t.Error("another name gets the given certificate")
	}
	if c := shown(t, server, blind("")); c.CheckSignatureFrom(own.cert) != nil {
		t.Error("an address that the given certificate lacks gets it")
	}
	// A client with a pin, here verified in full, sees the own one by any name.
	if c := shown(t, server, PinnedTLSFor(own.Pin(), "rind.example.net")); c.CheckSignatureFrom(own.cert) != nil {
		t.Error("a client with a pin does not see the own certificate")
	}

	// A half-written renewal is told once and changes nothing; a whole one is taken.
	good, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cert, good[:len(good)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(lookEvery)
		if c := shown(t, server, blind("rind.example.net")); !bytes.Equal(c.Raw, first.Raw) {
			t.Error("a broken file replaced the certificate")
		}
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), cert) {
		t.Errorf("told: %v", told)
	}
	writePair(t, company, cert, key, "rind.example.net")
	if c := shown(t, server, blind("rind.example.net")); !bytes.Equal(c.Raw, first.Raw) {
		t.Error("the files are looked at before it is time")
	}
	now = now.Add(lookEvery)
	if c := shown(t, server, blind("rind.example.net")); bytes.Equal(c.Raw, first.Raw) {
		t.Error("a renewed certificate is not taken")
	}
}

func TestGivenCertificateErrors(t *testing.T) {
	t.Parallel()
	ca, err := OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if _, err := OpenGiven(cert, key, nil); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("a missing file: %v", err)
	}
	writePair(t, ca, cert, key, "a.example")
	writePair(t, ca, filepath.Join(dir, "other.crt"), key, "a.example")
	if _, err := OpenGiven(cert, key, nil); err == nil || !strings.Contains(err.Error(), "no certificate and its key") {
		t.Errorf("a key of another certificate: %v", err)
	}
	writePair(t, ca, cert, key, "a.example")
	late := func() time.Time { return time.Now().Add(2 * serverLife) }
	if _, err := openGiven(cert, key, nil, late); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate: %v", err)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := func(dir, purpose string) string {
		ca, err := OpenCA(dir)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ca.Secret(purpose)
		if err != nil || len(b) != 32 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		return string(b)
	}
	first := secret(dir, "a")
	if again := secret(dir, "a"); again != first {
		t.Error("one purpose has two secrets")
	}
	if secret(dir, "a") == secret(dir, "b") || secret(dir, "a") == secret(t.TempDir(), "a") {
		t.Error("two purposes, or two fleets, have one secret")
	}
}
