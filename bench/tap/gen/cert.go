package gen

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

const numChains = 3000 // certificates of servers

// chain is what a server shows.
type chain struct {
	name string
	der  [][]byte
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
	der  []byte
}

func (g *generator) key() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(g.rng.Uint32())
	}
	return ed25519.NewKeyFromSeed(seed)
}

// proofs are two signed timestamps, as a public certificate carries them (RFC
// 6962 section 3.3). Nobody signed these.
func (g *generator) proofs() pkix.Extension {
	var list []byte
	for range 2 {
		at := g.rng.IntN(1 << 16)
		b := append([]byte{0}, g.pool[at:at+32]...)
		b = be.AppendUint64(b, uint64(base/1e6-int64(at)))
		b = append(b, 0, 0, 4, 3)
		list = append(list, vector(2, append(b, vector(2, g.pool[at+32:at+103])...))...)
	}
	value, err := asn1.Marshal(vector(2, list))
	must(err)
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}
}

// must ends the program: what it checks fails for no input.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// makeChains makes the certificates. Ed25519 signs the same bytes in the same
// way each time.
func (g *generator) makeChains() {
	var all []authority
	for i := range 8 {
		a := authority{key: g.key()}
		subject := pkix.Name{Country: []string{"US"}, Organization: []string{fmt.Sprintf("Example Trust %d", i)}, CommonName: fmt.Sprintf("Example CA %d", i)}
		tmpl := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: subject, NotBefore: time.Unix(base/1e9, 0).AddDate(-2, 0, 0),
			NotAfter: time.Unix(base/1e9, 0).AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			ExtraExtensions: []pkix.Extension{g.proofs()},
		}
		var err error
		a.der, err = x509.CreateCertificate(nil, tmpl, tmpl, a.key.Public(), a.key)
		must(err)
		a.cert, err = x509.ParseCertificate(a.der)
		must(err)
		all = append(all, a)
	}
	for i := range numChains {
		ca, name := &all[g.rng.IntN(len(all))], g.names[(i*7)%len(g.names)]
		key := g.key()
		serial := new(big.Int).SetUint64(g.rng.Uint64())
		serial.Lsh(serial, 56).Add(serial, new(big.Int).SetUint64(g.rng.Uint64()>>8))
		from := time.Unix(base/1e9, 0).Add(-time.Duration(g.rng.IntN(80*24)) * time.Hour)
		der, err := x509.CreateCertificate(nil, &x509.Certificate{
			SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "alt." + name},
			NotBefore: from, NotAfter: from.AddDate(0, 0, 90), KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			OCSPServer:     []string{"http://ocsp.example-trust.example/"},
			AuthorityKeyId: ca.cert.SubjectKeyId, ExtraExtensions: []pkix.Extension{g.proofs()},
		}, ca.cert, key.Public(), ca.key)
		must(err)
		g.certs = append(g.certs, chain{name, [][]byte{der, ca.der}})
	}
}
