package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
)

// fakeServer answers begin and answer well, and poll as told.
func fakeServer(t *testing.T, poll func(PollRequest) any) JoinConfig {
	t.Helper()
	mux := http.NewServeMux()
	reply := func(path string, f func(r *http.Request) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(f(r)) })
	}
	reply("/api/v1/enroll/begin", func(*http.Request) any {
		return BeginResponse{Challenge: strings.Repeat("0", 32), Nonce: make([]byte, NonceBytes), Pin: "sha256:00", Time: time.Now()}
	})
	reply("/api/v1/enroll/answer", func(*http.Request) any { return AnswerResponse{State: Approved} })
	reply("/api/v1/enroll/poll", func(r *http.Request) any {
		var req PollRequest
		_ = json.NewDecoder(r.Body).Decode(&req)
		return poll(req)
	})
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return JoinConfig{Server: srv.URL, CAFile: ca, Token: "t", ID: "web-01", Dir: t.TempDir()}
}

// permission is signed by nobody that matters: the host cannot tell.
func permission(t *testing.T, id fleet.PeelID, pub string) string {
	t.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(pub)
	claims.Name = string(id)
	claims.Expires = time.Now().Add(time.Hour).Unix()
	token, err := claims.Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestHostDoesNotBelieveEverything(t *testing.T) {
	t.Parallel()
	grant := func(change func(*Grant)) func(PollRequest) any {
		return func(req PollRequest) any {
			g := Grant{State: Approved, JWT: permission(t, req.ID, req.PublicKey), BusURLs: []string{"tls://:4222"}, CAPEM: []byte("x"), FleetRoot: make([]byte, 32)}
			change(&g)
			return g
		}
	}
	tests := []struct {
		name string
		poll func(PollRequest) any
		says string
	}{
		{"another peel's permission", func(req PollRequest) any {
			return grant(func(g *Grant) { g.JWT = permission(t, "web-02", req.PublicKey) })(req)
		}, "web-02"},
		{"no permission", grant(func(g *Grant) { g.JWT = "x" }), "cannot be read"},
		{"no root key", grant(func(g *Grant) { g.FleetRoot = nil }), "root key"},
		{"a short root key", grant(func(g *Grant) { g.FleetRoot = make([]byte, 31) }), "root key"},
		{"no bus", grant(func(g *Grant) { g.BusURLs = nil }), "address"},
		{"a thousand buses", grant(func(g *Grant) { g.BusURLs = make([]string, 1000) }), "address"},
		{"a bus without TLS", grant(func(g *Grant) { g.BusURLs = []string{"nats://h:4222"} }), "tls://"},
		{"an unknown state", grant(func(g *Grant) { g.State = "great" }), "great"},
		{"revoked", grant(func(g *Grant) { g.State = Revoked; g.Message = "by\x1b[2J alice" }), "by [2J alice"},
		{"no JSON", func(PollRequest) any { return "hello" }, "did not answer like"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := fakeServer(t, tt.poll)
			_, err := Join(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("got %v, want it to say %q", err, tt.says)
			}
			if _, err := LoadIdentity(cfg.Dir); err == nil {
				t.Error("an identity was kept")
			}
		})
	}
	cfg := fakeServer(t, grant(func(*Grant) {}))
	id, err := Join(t.Context(), cfg)
	if err != nil {
		t.Fatalf("the good answer: %v", err)
	}
	if want := "tls://127.0.0.1:4222"; id.BusURLs[0] != want {
		t.Errorf("bus %v, want %s", id.BusURLs, want)
	}
}

func TestRootKeyIsPinnedForEver(t *testing.T) {
	t.Parallel()
	root := make([]byte, 32)
	cfg := fakeServer(t, func(req PollRequest) any {
		return Grant{State: Approved, JWT: permission(t, req.ID, req.PublicKey), BusURLs: []string{"tls://:4222"}, CAPEM: []byte("x"), FleetRoot: root}
	})
	if _, err := Join(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	root[0] = 1
	if _, err := Join(t.Context(), cfg); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "root key") {
		t.Errorf("another root key: %v", err)
	}
	id, err := LoadIdentity(cfg.Dir)
	if err != nil || id.FleetRoot[0] != 0 {
		t.Errorf("the kept root key is %v (%v)", id.FleetRoot, err)
	}
}

func TestIdentityFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := LoadIdentity(dir); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "rind enroll token") {
		t.Errorf("an empty folder: %v", err)
	}
	for _, bad := range []string{"", "{", `{"id":"*","state":"approved"}`, `{"id":"a","state":"approved"}`} {
		if err := os.WriteFile(filepath.Join(dir, identityFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentity(dir); err == nil || !strings.Contains(err.Error(), "enroll again") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	cfg := fakeServer(t, func(PollRequest) any { return Grant{State: Pending} })
	if _, err := Join(t.Context(), cfg); !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	other := cfg
	other.ID = "web-02"
	if _, err := Join(t.Context(), other); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "web-01") {
		t.Errorf("another id: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "peel.nk")); errors.Is(err, fs.ErrNotExist) {
		t.Error("no key was kept")
	}
}

func TestNoRedirects(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.RedirectHandler("https://evil.example/", http.StatusTemporaryRedirect))
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Join(t.Context(), JoinConfig{Server: srv.URL, CAFile: ca, Token: "t", ID: "web-01", Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("got %v", err)
	}
}

// A host whose clock is behind cannot even shake hands: the certificate seems
// to begin in the future.
func TestCertificateNotYetValid(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []JoinConfig{{CAFile: ca}, {Pin: pki.PinOf(cert)}} {
		cfg.Server, cfg.Token, cfg.ID, cfg.Dir = srv.URL, "t", "web-01", t.TempDir()
		_, err := Join(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), "not valid yet") || !strings.Contains(err.Error(), "clock") {
			t.Errorf("got %v", err)
		}
	}
}
