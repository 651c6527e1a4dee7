package natsd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

func peelID(s string) fleet.PeelID { return fleet.PeelID(s) }

// failStart starts a bus that must not start.
func failStart(t *testing.T, cfg natsd.Config, dir string) string {
	t.Helper()
	serverTLS, _ := certificate(t)
	s := natsd.New(cfg, natsd.Deps{Log: slog.New(slog.DiscardHandler), DataDir: dir, TLS: serverTLS})
	err := s.Start(t.Context())
	if err == nil {
		_ = s.Stop(context.Background())
		t.Fatal("it started")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop after a failed start: %v", err)
	}
	return err.Error()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a port in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cfg := testConfig()
		cfg.Listen = l.Addr().String()
		contains(t, failStart(t, cfg, t.TempDir()), l.Addr().String(), "nats.listen", "in use")
	})
	t.Run("an address that is not here", func(t *testing.T) {
		cfg := testConfig()
		cfg.Listen = "192.0.2.1:0"
		contains(t, failStart(t, cfg, t.TempDir()), "192.0.2.1:0", "nats.listen")
	})
	t.Run("a data folder below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		contains(t, failStart(t, testConfig(), file), file, "data_dir")
	})
	t.Run("a data folder that is not writable", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "bus"), 0o500); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			t.Skip("root may write everywhere")
		}
		contains(t, failStart(t, testConfig(), dir), dir, "data_dir")
	})
	t.Run("storage that cannot be opened", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "bus"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "bus", "jetstream"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		contains(t, failStart(t, testConfig(), dir), "did not start", "JetStream")
	})
	t.Run("a start that takes too long", func(t *testing.T) {
		cfg := testConfig()
		cfg.ReadyTimeout = 1
		contains(t, failStart(t, cfg, t.TempDir()), "nats.ready_timeout")
	})
	t.Run("a key that others can read", func(t *testing.T) {
		dir := t.TempDir()
		b := startBus(t, dir)
		_ = b.Stop(t.Context())
		path := filepath.Join(dir, "keys", "operator.nk")
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		contains(t, failStart(t, testConfig(), dir), path, "chmod 600")
	})
	t.Run("a damaged account", func(t *testing.T) {
		dir := t.TempDir()
		b := startBus(t, dir)
		_ = b.Stop(t.Context())
		path := filepath.Join(dir, "keys", "account.jwt")
		if err := os.WriteFile(path, []byte("eyJ"), 0o600); err != nil {
			t.Fatal(err)
		}
		contains(t, failStart(t, testConfig(), dir), path, "backup")
	})
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key    string
		change func(*natsd.Config)
	}{
		{"nats.listen", func(c *natsd.Config) { c.Listen = "4222" }},
		{"nats.listen", func(c *natsd.Config) { c.Listen = "0.0.0.0:70000" }},
		{"nats.max_connections", func(c *natsd.Config) { c.MaxConnections = 0 }},
		{"nats.max_payload", func(c *natsd.Config) { c.MaxPayload = 10 }},
		{"nats.write_deadline", func(c *natsd.Config) { c.WriteDeadline = 0 }},
		{"nats.jetstream.max_mem_store", func(c *natsd.Config) { c.JetStream.MaxMemStore = "101%" }},
		{"nats.jetstream.max_mem_store", func(c *natsd.Config) { c.JetStream.MaxMemStore = "NaN%" }},
		{"nats.jetstream.max_file_store", func(c *natsd.Config) { c.JetStream.MaxFileStore = "lots" }},
		{"nats.jetstream.sync_interval", func(c *natsd.Config) { c.JetStream.SyncInterval = "never" }},
		{"nats.jetstream.limits", func(c *natsd.Config) { c.JetStream.Limits.MaxAckPending = 0 }},
	}
	for _, tt := range tests {
		cfg := natsd.DefaultConfig()
		tt.change(&cfg)
		if err := cfg.Validate(); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tt.key) {
			t.Errorf("%s: %v", tt.key, err)
		}
	}
	if err := natsd.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestHTTPOnTheBusPort(t *testing.T) {
	t.Parallel()
	const hint = "use the HTTPS address of the server instead"
	t.Run("http", func(t *testing.T) {
		b := startBus(t, t.TempDir())
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: rind\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		b.log.waitFor(t, hint)
	})
	t.Run("https", func(t *testing.T) {
		b := startBus(t, t.TempDir())
		c := http.Client{Transport: &http.Transport{TLSClientConfig: b.client}}
		resp, err := c.Get("https://" + b.Addr() + "/")
		if err == nil {
			resp.Body.Close()
			t.Fatal("HTTPS on the bus port worked")
		}
		b.log.waitFor(t, hint)
	})
}

func TestBusClientOnAnHTTPPort(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	for name, start := range map[string]func(http.Handler) *httptest.Server{"https": httptest.NewTLSServer, "http": httptest.NewServer} {
		srv := start(http.NotFoundHandler())
		kp, _ := key(t)
		cfg := b.peelConfig("web-01", kp)
		cfg.URLs = []string{"tls://" + srv.Listener.Addr().String()}
		cfg.ConnectTimeout = 300 * time.Millisecond
		_, err := bus.Connect(t.Context(), cfg)
		if err == nil {
			t.Fatalf("%s: connected", name)
		}
		contains(t, err.Error(), "is it the HTTPS port", "nats.listen")
		srv.Close()
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := bufio.NewReaderSize(conn, 1)
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO ") {
			t.Fatalf("greeting %q, %v", line, err)
		}
		cfg := b.client.Clone()
		cfg.ServerName, cfg.MaxVersion = "127.0.0.1", version
		err = tls.Client(conn, cfg).Handshake()
		if (err == nil) != (version == tls.VersionTLS13) {
			t.Errorf("version %x: %v", version, err)
		}
	}
}

func TestRestartKeepsKeysAndData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startBus(t, dir)
	kv, err := b.ensured().KeyValue(t.Context(), bus.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "j1", "record"); err != nil {
		t.Fatal(err)
	}
	kp, _ := key(t)
	old := b.peelConfig("web-01", kp)
	root := b.FleetKeys().Root
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	b = startBus(t, dir)
	if !b.FleetKeys().Root.Equal(root) {
		t.Error("the root key changed")
	}
	if kv, err = b.ensured().KeyValue(t.Context(), bus.Jobs); err != nil {
		t.Fatal(err)
	}
	if e, err := kv.Get(t.Context(), "j1"); err != nil || string(e.Value()) != "record" {
		t.Errorf("after the restart: %v, %v", e, err)
	}
	old.URLs, old.TLS = []string{"tls://" + b.Addr()}, b.client
	nc, err := bus.Connect(t.Context(), old)
	if err != nil {
		t.Fatalf("with the permission from before: %v", err)
	}
	nc.Close()
	files, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("key files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
}

func TestSystemUserSeesPeelsComeAndGo(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	sys := b.local(b.SystemUser)
	events := make(chan string, 16)
	if _, err := sys.Subscribe("$SYS.ACCOUNT.*.*", func(m *nats.Msg) {
		if strings.Contains(string(m.Data), `"web-01"`) {
			events <- m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := sys.Flush(); err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		select {
		case got := <-events:
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no %s event", want)
		}
	}
	peel := b.peel("web-01")
	next("CONNECT")
	peel.Close()
	next("DISCONNECT")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	serverTLS, _ := certificate(t)
	reg := prometheus.NewRegistry()
	s := natsd.New(testConfig(), natsd.Deps{Log: slog.New(slog.DiscardHandler), DataDir: t.TempDir(), TLS: serverTLS, Metrics: reg})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, want := range []string{"rind_bus_connections", "rind_bus_refused_total", "rind_bus_stored_bytes"} {
		if !names[want] {
			t.Errorf("no metric %s", want)
		}
	}
}

func TestSyncInterval(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	if always, _ := b.Synced(); !always {
		t.Error("a single server does not sync each write")
	}
	cfg := testConfig()
	cfg.JetStream.SyncInterval = "2m"
	b = startBusWith(t, t.TempDir(), cfg)
	if always, every := b.Synced(); always || every != 2*time.Minute {
		t.Errorf("always %v, every %s; want 2m", always, every)
	}
}

func TestDomain(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.JetStream.Domain = "hub"
	b := startBusWith(t, t.TempDir(), cfg)
	js := b.ensured()
	info, err := js.AccountInfo(t.Context())
	if err != nil || info.Domain != "hub" {
		t.Errorf("domain %v, %v", info, err)
	}
	if _, err := js.Publish(t.Context(), "$KV.facts.web-01", []byte("{}")); err != nil {
		t.Errorf("facts on a domain: %v", err)
	}
}
