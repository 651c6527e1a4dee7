package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// PinProtocol is offered, as the last of its application protocols (RFC 7301),
// by a client that trusts a pin. A server that shows the world a certificate of
// somebody else's CA shows this client its own, which the pin is made of. No
// server ever chooses it.
const PinProtocol = "rind-pin"

// Source gives a certificate for a handshake, or nil when it has none for it.
type Source func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// Prefer returns a copy of a server's own configuration that shows the
// certificate of the source to everybody for whom there is one there. Clients
// with a pin, and those who ask for a name that only the own certificate has,
// see that one.
func Prefer(own *tls.Config, source Source) *tls.Config {
	cfg, fallback := own.Clone(), own.GetCertificate
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if slices.Contains(hello.SupportedProtos, PinProtocol) {
			return fallback(hello)
		}
		pair, err := source(hello)
		if err != nil || pair != nil {
			return pair, err
		}
		return fallback(hello)
	}
	return cfg
}

// lookEvery is how often the files of a Given are looked at.
const lookEvery = 10 * time.Second

// Given is a certificate in files that somebody else writes and renews. Use
// OpenGiven.
type Given struct {
	certFile, keyFile string
	failed            func(error)
	now               func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	state   [2]os.FileInfo
	checked time.Time
	broken  string // what was said of the files last
}

// OpenGiven reads a certificate with its chain, and its key, both in PEM form.
// They are read again when the files change; failed is told when that cannot
// be, and the last good pair stays in use.
func OpenGiven(certFile, keyFile string, failed func(error)) (*Given, error) {
	return openGiven(certFile, keyFile, failed, time.Now)
}

func openGiven(certFile, keyFile string, failed func(error), now func() time.Time) (*Given, error) {
	g := &Given{certFile: certFile, keyFile: keyFile, failed: failed, now: now, checked: now()}
	state, err := g.stat()
	if err != nil {
		return nil, err
	}
	if g.pair, err = g.load(); err != nil {
		return nil, err
	}
	g.state = state
	return g, nil
}

func (g *Given) stat() (state [2]os.FileInfo, err error) {
	for i, file := range []string{g.certFile, g.keyFile} {
		if state[i], err = os.Stat(file); err != nil {
			return state, readError(file, err)
		}
	}
	return state, nil
}

func (g *Given) load() (*tls.Certificate, error) {
	cert, err := readLimited(g.certFile, maxCAFile)
	if err != nil {
		return nil, readError(g.certFile, err)
	}
	key, err := readLimited(g.keyFile, maxFile)
	if err != nil {
		return nil, readError(g.keyFile, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s and %s are no certificate and its key in PEM form: %w", g.certFile, g.keyFile, err)
	}
	if now := g.now(); now.After(pair.Leaf.NotAfter) {
		return nil, errs.New(errs.Invalid, "the certificate in %s expired at %s, and this machine's clock says %s; renew it",
			g.certFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

// Get is a Source: the certificate, for a client that asks for a name in it,
// or by an address in it without a name.
func (g *Given) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair := g.current()
	if !covers(pair.Leaf, hello) {
		return nil, nil
	}
	return pair, nil
}

// covers reports whether the certificate is one that the client can accept.
func covers(leaf *x509.Certificate, hello *tls.ClientHelloInfo) bool {
	host := hello.ServerName
	if host == "" && hello.Conn != nil {
		host, _, _ = net.SplitHostPort(hello.Conn.LocalAddr().String())
	}
	return leaf.VerifyHostname(host) == nil
}

// Expires is the end of the certificate in use.
func (g *Given) Expires() time.Time { return g.current().Leaf.NotAfter }

// current looks at the files, when it is time, and returns the pair to use.
func (g *Given) current() *tls.Certificate {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if now.Sub(g.checked) < lookEvery {
		return g.pair
	}
	g.checked = now
	state, err := g.stat()
	if err == nil && same(state, g.state) {
		return g.pair
	}
	pair := g.pair
	if err == nil {
		pair, err = g.load()
	}
	if err != nil {
		// Certificate and key are not written at one moment: what does not
		// fit now is looked at again.
		if g.broken != err.Error() && g.failed != nil {
			g.broken = err.Error()
			g.failed(err)
		}
		return g.pair
	}
	g.pair, g.state, g.broken = pair, state, ""
	return g.pair
}

// same reports whether the files are as they were.
func same(a, b [2]os.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}
