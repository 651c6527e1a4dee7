// Package acme gets certificates from an ACME authority (RFC 8555), such as
// Let's Encrypt, and renews them. Account, certificates, keys and challenges
// are kept in the database, encrypted, so that of any number of servers behind
// one name one asks and each can answer.
package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/lifecycle"
)

// Protocol is what a handshake of the challenge tls-alpn-01 asks for (RFC 8737).
const Protocol = "acme-tls/1"

// Config says for what, and of whom, certificates are asked.
type Config struct {
	Domains    []string `yaml:"domains" help:"names for which certificates are asked of an ACME authority"`
	Email      string   `yaml:"email" help:"where the authority writes about the account"`
	Directory  string   `yaml:"directory" help:"URL of the authority's directory; empty is Let's Encrypt"`
	CAFile     string   `yaml:"ca_file" path:"true" help:"PEM file of the CA that the authority's own HTTPS is trusted by; empty is the system's"`
	HTTPListen string   `yaml:"http_listen" help:"address and port for challenges by plain HTTP, such as 0.0.0.0:80; empty answers them by TLS alone"`
}

// On reports whether certificates are asked for.
func (c Config) On() bool { return len(c.Domains) > 0 }

// Validate says what is wrong.
func (c Config) Validate() error {
	for _, d := range c.Domains {
		if d == "" || strings.ContainsAny(d, "/:*@ ") || net.ParseIP(d) != nil || !strings.Contains(d, ".") {
			return config.Bad("domains", "%q: write a whole DNS name that leads to these servers, such as rind.example.net; wildcards and addresses need another way (cert_file)", d)
		}
	}
	if u, err := url.Parse(c.Directory); c.Directory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return config.Bad("directory", "%q: write the URL of the authority's directory, https://…", c.Directory)
	}
	if _, port, err := net.SplitHostPort(c.HTTPListen); c.HTTPListen != "" && (err != nil || port == "") {
		return config.Bad("http_listen", "%q: write it as ADDRESS:PORT, such as 0.0.0.0:80", c.HTTPListen)
	}
	if !c.On() && (c.Email != "" || c.Directory != "" || c.CAFile != "" || c.HTTPListen != "") {
		return config.Bad("domains", "name the domains that certificates are asked for")
	}
	return nil
}

// Deps are what a manager works with.
type Deps struct {
	DB      *database.DB
	Key     []byte        // 32 bytes, the same on every server
	Listen  func() string // address of the HTTPS server, which answers tls-alpn-01
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Manager keeps the certificates. Use New.
type Manager struct {
	cfg     Config
	deps    Deps
	store   *storage
	roots   *x509.CertPool
	results *prometheus.CounterVec

	state atomic.Pointer[state]
	stop  context.CancelFunc
}

// state is what exists between Start and Stop.
type state struct {
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

var _ lifecycle.Component = (*Manager)(nil)

// New makes a manager that has asked for nothing yet.
func New(cfg Config, deps Deps) (*Manager, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{cfg: cfg, deps: deps}
	var err error
	if m.store, err = newStorage(deps.DB, deps.Key); err != nil {
		return nil, err
	}
	if cfg.CAFile != "" {
		text, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, errs.New(errs.Invalid, "reading the CA of the ACME authority: %w; correct %q", err, "https.acme.ca_file")
		}
		m.roots = x509.NewCertPool()
		if !m.roots.AppendCertsFromPEM(text) {
			return nil, errs.New(errs.Invalid, "%s holds no certificate in PEM form; correct %q", cfg.CAFile, "https.acme.ca_file")
		}
	}
	m.results = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_acme_certificates_total", Help: "Certificates asked of the ACME authority, by result: obtained, renewed or failed.",
	}, []string{"result"})
	for _, r := range []string{"obtained", "renewed", "failed"} {
		m.results.WithLabelValues(r)
	}
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(m.results)
	}
	return m, nil
}

// Start begins to load, ask for and renew the certificates in the background.
// The HTTPS server listens already, else nobody could answer a challenge.
func (m *Manager) Start(context.Context) error {
	s, err := m.prepare()
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	return s.config.ManageAsync(running, m.cfg.Domains)
}

// prepare makes what answers challenges, of whichever server they are.
func (m *Manager) prepare() (*state, error) {
	host, port, err := net.SplitHostPort(m.deps.Listen())
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	logger := newLogger(m.deps.Log)
	s := &state{}
	s.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return s.config, nil },
		Logger:           logger,
	})
	s.config = certmagic.New(s.cache, certmagic.Config{Storage: m.store, Logger: logger, OnEvent: m.event})
	template := certmagic.ACMEIssuer{
		CA: cmp.Or(m.cfg.Directory, certmagic.LetsEncryptProductionCA), Email: m.cfg.Email, Agreed: true, TrustedRoots: m.roots,
		ListenHost: host, AltTLSALPNPort: n, DisableHTTPChallenge: m.cfg.HTTPListen == "", Logger: logger,
	}
	if _, port, err := net.SplitHostPort(m.cfg.HTTPListen); err == nil {
		template.AltHTTPPort, _ = strconv.Atoi(port) // checked by Validate
	}
	s.issuer = certmagic.NewACMEIssuer(s.config, template)
	s.config.Issuers = []certmagic.Issuer{s.issuer}
	m.state.Store(s)
	return s, nil
}

// Stop ends the work in the background. What was obtained stays in the database.
func (m *Manager) Stop(context.Context) error {
	s := m.state.Swap(nil)
	if s == nil {
		return nil
	}
	if m.stop != nil {
		m.stop()
	}
	s.cache.Stop()
	return nil
}

// event counts what the library tells of.
func (m *Manager) event(_ context.Context, name string, data map[string]any) error {
	renewal, _ := data["renewal"].(bool)
	switch {
	case name == "cert_obtained" && renewal:
		m.results.WithLabelValues("renewed").Inc()
	case name == "cert_obtained":
		m.results.WithLabelValues("obtained").Inc()
	case name == "cert_failed":
		m.results.WithLabelValues("failed").Inc()
		m.deps.Log.Warn("the ACME authority gave no certificate; it is tried again, and until then the server shows the one that it has",
			"domain", data["identifier"], "error", data["error"],
			"hint", "the name must lead to these servers: its port 443 to "+m.deps.Listen()+", or its port 80 to https.acme.http_listen")
	}
	return nil
}

// Certificate returns what is to be shown in a handshake: the answer to a
// challenge, the certificate of one of the domains, or nil for other names and
// as long as there is none. Handshakes for other names never reach the database.
func (m *Manager) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := m.state.Load()
	if s == nil || !m.serves(hello.ServerName) {
		return nil, nil
	}
	pair, err := s.config.GetCertificate(hello)
	if err != nil && !slices.Equal(hello.SupportedProtos, []string{Protocol}) {
		return nil, nil // there is none yet
	}
	return pair, err
}

func (m *Manager) serves(name string) bool {
	return slices.ContainsFunc(m.cfg.Domains, func(d string) bool { return strings.EqualFold(d, name) })
}

// HTTPHandler answers challenges by plain HTTP (http-01) for the domains, and
// sends everything else there to HTTPS.
func (m *Manager) HTTPHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		s := m.state.Load()
		if s != nil && m.serves(host) && s.issuer.HandleHTTPChallenge(w, r) {
			return
		}
		if !m.serves(host) || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "this port answers challenges of ACME only; use HTTPS", http.StatusNotFound)
			return
		}
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusFound)
	})
}

// Obtained reports whether this server has a certificate for each domain.
func (m *Manager) Obtained() error {
	s := m.state.Load()
	if s == nil {
		return errors.New("not started")
	}
	for _, d := range m.cfg.Domains {
		if len(s.cache.AllMatchingCertificates(d)) == 0 {
			return errs.New(errs.Unavailable, "there is no certificate for %s yet", d)
		}
	}
	return nil
}
