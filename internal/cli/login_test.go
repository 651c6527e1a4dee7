package cli_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/base/pki"
)

// remote makes a terminal elsewhere that is logged in to a server.
func remote(t *testing.T, s *httptest.Server, token string) *terminal {
	t.Helper()
	term := away(t)
	term.in = token + "\n"
	if code, _, stderr := term.run(t, "login", s.URL, "--ca-file", caFile(t, s), "--token-stdin"); code != 0 {
		t.Fatalf("login: %s", stderr)
	}
	return term
}

// away makes a terminal on a machine without a server.
func away(t *testing.T) *terminal {
	t.Helper()
	home := t.TempDir()
	term := &terminal{env: map[string]string{"HOME": home}}
	term.opts.Login = filepath.Join(home, "config", "login.yaml")
	term.opts.Sockets = []string{filepath.Join(home, "none.sock")}
	return term
}

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	server := httptest.NewTLSServer(s.Handler)
	defer server.Close()
	term := remote(t, server, s.Token(t, access.Operator))
	info, err := os.Stat(term.opts.Login)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the login is kept with %v (%v)", info, err)
	}
	if code, stdout, stderr := term.run(t, "whoami"); code != 0 || !strings.Contains(stdout, server.URL) || !strings.Contains(stdout, "operator") {
		t.Errorf("whoami: %d %s%s", code, stdout, stderr)
	}
	if code, _, stderr := term.run(t, "user", "list"); code != 1 || !strings.Contains(stderr, "ask an administrator for the role admin") {
		t.Errorf("an operator lists users: %d %s", code, stderr)
	}
	if code, stdout, _ := term.run(t, "logout"); code != 0 || stdout != "logged out\n" {
		t.Errorf("logout: %d %s", code, stdout)
	}
	if code, _, stderr := term.run(t, "whoami"); code != 1 || !strings.Contains(stderr, "no server here: start one with `rind up`, or log in to one with `rind login https://") {
		t.Errorf("whoami after logout: %d %s", code, stderr)
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	server := httptest.NewTLSServer(s.Handler)
	t.Cleanup(server.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	t.Cleanup(other.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "https://" + ln.Addr().String()
	_ = ln.Close()
	good := s.Token(t, access.Viewer)
	for _, c := range []struct {
		name, in string
		args     []string
		says     string
	}{
		{"no token", good, []string{server.URL}, "give the token with --token-stdin"},
		{"both tokens", good, []string{server.URL, "--token", "x", "--token-stdin"}, "none of the others can be"},
		{"empty token", "", []string{server.URL, "--token-stdin"}, "the token is empty"},
		{"unknown CA", good, []string{server.URL, "--token-stdin"}, "log in again with --pin sha256:"},
		{"wrong pin", good, []string{server.URL, "--token-stdin", "--pin", apitest.Pin}, "pin"},
		{"malformed pin", good, []string{server.URL, "--token-stdin", "--pin", "abc"}, "pin"},
		{"wrong token", "rind_x", []string{server.URL, "--token-stdin", "--ca-file", caFile(t, server)}, "no such token"},
		{"no https", good, []string{strings.Replace(plain.URL, "http:", "https:", 1), "--token-stdin"}, "does not speak TLS"},
		{"http", good, []string{plain.URL, "--token-stdin"}, "is not the address of a server"},
		{"path", good, []string{server.URL + "/x", "--token-stdin"}, "is not the address of a server"},
		{"not Rind", good, []string{other.URL, "--token-stdin", "--ca-file", caFile(t, other)}, "is it a Rind server"},
		{"nobody", good, []string{nobody, "--token-stdin"}, "nothing answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			term := away(t)
			term.in = c.in
			code, _, stderr := term.run(t, append([]string{"login"}, c.args...)...)
			if code != 1 || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			if _, err := os.Stat(term.opts.Login); err == nil {
				t.Error("the login was kept")
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	term := away(t)
	stale := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = ln.Close()
	for name, args := range map[string][]string{
		"nothing": {"peel", "list"}, "stale socket": {"--socket", stale, "peel", "list"},
		"no such socket": {"--socket", "/nowhere/rind.sock", "peel", "list"}, "a job": {"*", "test.ping"},
	} {
		if code, _, stderr := term.run(t, args...); code != 1 || !strings.Contains(stderr, "start one with `rind up`") {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
	if err := os.MkdirAll(filepath.Dir(term.opts.Login), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(term.opts.Login, []byte("server: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := term.run(t, "peel", "list"); code != 1 || !strings.Contains(stderr, "remove it with `rind logout`") {
		t.Errorf("a broken login: %d %s", code, stderr)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	server := httptest.NewTLSServer(s.Handler)
	defer server.Close()
	term := away(t)
	term.env["RIND_SERVER"] = server.URL
	if code, _, stderr := term.run(t, "whoami"); code != 1 || !strings.Contains(stderr, "RIND_TOKEN is not") {
		t.Errorf("without a token: %d %s", code, stderr)
	}
	term.env["RIND_TOKEN"] = s.Token(t, access.Viewer)
	if code, _, stderr := term.run(t, "whoami"); code != 1 || !strings.Contains(stderr, "--pin sha256:") {
		t.Errorf("without a pin: %d %s", code, stderr)
	}
	term.env["RIND_PIN"] = pki.PinOf(server.Certificate())
	if code, stdout, stderr := term.run(t, "whoami"); code != 0 || !strings.Contains(stdout, "viewer") {
		t.Errorf("with a pin: %d %s%s", code, stdout, stderr)
	}
}

// TestDefaultSocket finds a server behind a socket that somebody left.
func TestDefaultSocket(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	term := away(t)
	term.opts.Sockets = append(term.opts.Sockets, s.Socket)
	if code, stdout, stderr := term.run(t, "whoami", "-o", "json"); code != 0 || !strings.Contains(stdout, `"uid:0"`) {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}
