package server

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// freeAddr is an address of the loopback that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// share gives a data folder the CA and the keys of another one.
func share(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{"pki", "keys"} {
		files, err := filepath.Glob(filepath.Join(from, name, "*"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(to, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(to, name, filepath.Base(f)), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (r *running) get(t *testing.T, path string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.send(t, req)
}

// carrier starts a server with the role bus alone beside one that founds a
// cluster.
func carrier(t *testing.T) (founder, carries *running) {
	t.Helper()
	cfg := testConfig(dataDir(t))
	cfg.Roles, cfg.NATS.Cluster.Listen = []string{RoleBus, RoleMaster}, freeAddr(t)
	founder = start(t, cfg)
	other := testConfig(dataDir(t))
	other.Roles, other.NATS.JetStream.Enabled = []string{RoleBus}, false
	other.NATS.Cluster.Listen, other.NATS.Cluster.Routes = "127.0.0.1:0", []string{cfg.NATS.Cluster.Listen}
	share(t, cfg.DataDir, other.DataDir)
	return founder, start(t, other)
}

func TestBusAloneCarriesPeels(t *testing.T) {
	t.Parallel()
	founder, carries := carrier(t)
	if checks := carries.ready(t); strings.Join(checks, " ") != "bus" {
		t.Errorf("ready by %v", checks)
	}
	if a := carries.get(t, "/healthz"); a.status != http.StatusOK {
		t.Errorf("alive: %d %s", a.status, a.body)
	}
	if a := carries.get(t, "/metrics"); a.status != http.StatusOK || !strings.Contains(a.body, "rind_bus_connections") {
		t.Errorf("metrics: %d %.200s", a.status, a.body)
	}
	for _, path := range []string{"/", "/api/v1/peels", "/login"} {
		if a := carries.get(t, path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if _, err := os.Stat(filepath.Join(carries.cfg.DataDir, "rind.db")); err == nil {
		t.Error("a server with the role bus alone made a database")
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		urls := strings.Join(busURLs(founder.cfg.NATS, founder.daemon)("127.0.0.1"), " ")
		if strings.Contains(urls, founder.BusAddr()) && strings.Contains(urls, carries.BusAddr()) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("peels are told of %s only", urls)
		}
	}
}

func TestRolesThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"a master without a bus": {func(c *Config) { c.Roles = []string{RoleMaster} }, "name bus too"},
		"a bus for nobody":       {func(c *Config) { c.Roles = []string{RoleBus} }, "where they reach it"},
	} {
		cfg := testConfig(t.TempDir())
		test.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
