package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// refusedStart checks that a server does not start, says why in all of the
// words, and leaves nothing behind.
func refusedStart(t *testing.T, cfg Config, kind errs.Kind, words ...string) {
	t.Helper()
	s, _ := newServer(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := s.Start(ctx)
	if err == nil {
		stop(t, s)
		t.Fatal("it started")
	}
	if errs.KindOf(err) != kind {
		t.Errorf("the kind is %v, want %v", errs.KindOf(err), kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	stop(t, s)
}

func TestDataFolderInUse(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	r := start(t, cfg)
	other := cfg
	refusedStart(t, other, errs.Conflict, cfg.DataDir, "another server", "--data")
	// The one that runs has kept its socket and its folder.
	if r.ready(t); t.Failed() {
		return
	}
	if c, err := net.DialTimeout("unix", cfg.socketPath(), time.Second); err != nil {
		t.Errorf("the socket is gone: %v", err)
	} else {
		_ = c.Close()
	}
}

func TestUnwritableDataFolder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	// In sysfs not even root makes a folder or a file.
	for name, path := range map[string]string{"a file": file, "below a file": filepath.Join(file, "data"), "not to be made": "/sys/kernel/rind", "read-only": "/sys/kernel"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("/sys/kernel"); err != nil && strings.HasPrefix(path, "/sys") {
				t.Skip("skipped: there is no /sys on this machine")
			}
			refusedStart(t, testConfig(path), errs.Forbidden, strings.TrimSuffix(path, "/data"), "--data")
		})
	}
	t.Cleanup(func() {
		if data, err := os.ReadFile(file); err != nil || string(data) != "kept" {
			t.Errorf("the file in the way holds %q (%v)", data, err)
		}
	})
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	for key, set := range map[string]func(*Config, string){
		"listen":      func(c *Config, addr string) { c.Listen = addr },
		"nats.listen": func(c *Config, addr string) { c.NATS.Listen = addr },
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			cfg, addr := testConfig(dataDir(t)), occupy(t)
			taken := cfg
			set(&taken, addr)
			kind := errs.Conflict
			if key == "nats.listen" {
				kind = errs.Unavailable
			}
			refusedStart(t, taken, kind, addr, key, "address already in use")
			if c, err := net.DialTimeout("unix", cfg.socketPath(), time.Second); err == nil {
				_ = c.Close()
				t.Error("a server that did not start still holds its socket")
			}
			start(t, cfg).first(t) // the same folder, with free ports
		})
	}
}

// first checks that a server is ready and has told the password of its first
// administrator: a start before it that failed has not used it up.
func (r *running) first(t *testing.T) {
	t.Helper()
	r.ready(t)
	if password := r.FirstPassword(); password == "" || !r.loginAs(t, "admin", password) {
		t.Errorf("nobody was told the administrator's password, or it is not %q", password)
	}
}

// A start that is given up, or fails late, leaves the folder to the next one.
func TestStartGivenUp(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	s, _ := newServer(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Start(ctx); err == nil {
		t.Error("it started although nobody waits for it")
	}
	stop(t, s)
	start(t, cfg).first(t)
}

func TestWrongDatabaseURL(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Database.URL = "mysql://localhost/rind"
	s, _ := newServer(cfg)
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "database.url") || !strings.Contains(err.Error(), "postgres://") {
		t.Errorf("got %v", err)
	}
	cfg.Database.URL = fmt.Sprintf("postgres://rind:s3cret-word@%s/rind?connect_timeout=2", occupy(t))
	s, _ = newServer(cfg)
	began := time.Now()
	err := s.Start(t.Context())
	if err == nil || strings.Contains(err.Error(), "s3cret-word") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("a database that does not answer held the start up for %s", took)
	}
}

// TestTypos runs the command line on files with mistakes.
func TestTypos(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, want string }{
		"key":     {"data_dir: DIR\nnats:\n  lisen: 127.0.0.1:0\n", `rind.yaml:3: unknown key "nats.lisen"; did you mean "nats.listen"?`},
		"top":     {"listn: 127.0.0.1:0\ndata_dir: DIR\n", `rind.yaml:1: unknown key "listn"; did you mean "listen"?`},
		"section": {"data_dir: DIR\nnatz:\n  listen: 127.0.0.1:0\n", `rind.yaml:2: unknown key "natz"; did you mean "nats"?`},
		"role":    {"data_dir: DIR\nroles: [bus, master, nod]\n", `"nod" is no role`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			data, file := filepath.Join(dir, "data"), filepath.Join(dir, "rind.yaml")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(test.file, "DIR", data)), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, command := range [][]string{{"config", "check"}, {"server"}, {"up"}} {
				var out, errOut logBuffer
				code := Main(append(command, "--config", file), strings.NewReader(""), &out, &errOut)
				if code == 0 || !strings.Contains(errOut.String(), test.want) {
					t.Errorf("rind %s: %d %q %q, want %q", strings.Join(command, " "), code, out.String(), errOut.String(), test.want)
				}
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("the data folder was made")
			}
		})
	}
}
