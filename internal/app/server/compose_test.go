package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
)

// loginAs reports whether the name and password are good.
func (r *running) loginAs(t *testing.T, name, password string) bool {
	t.Helper()
	a := r.call(t, "", http.MethodPost, "/login", map[string]string{"name": name, "password": password}, nil)
	return a.status == http.StatusOK
}

func TestSecondStartKeepsWhatTheFirstMade(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	first := start(t, cfg)
	password, pin := first.FirstPassword(), first.Pin()
	if password == "" || !first.loginAs(t, "admin", password) {
		t.Fatalf("the first administrator cannot log in with %q", password)
	}
	first.enroll(t, "web-01")
	stop(t, first.Server)
	stop(t, first.Server) // is stopped already
	if _, err := net.DialTimeout("unix", cfg.socketPath(), time.Second); err == nil {
		t.Error("somebody still answers on the socket")
	}

	second := start(t, cfg)
	if second.FirstPassword() != "" {
		t.Errorf("a second administrator was made, with the password %q", second.FirstPassword())
	}
	if second.Pin() != pin {
		t.Errorf("the pin was %s and is %s", pin, second.Pin())
	}
	if !second.loginAs(t, "admin", password) {
		t.Error("the first administrator is locked out")
	}
	if peels := second.peels(t); !slices.Equal(peels, []string{"web-01"}) {
		t.Errorf("the peels are %v", peels)
	}
	var audit struct{ Entries []access.Entry }
	second.call(t, second.token(t, access.Admin), http.MethodGet, "/audit?limit=1000", nil, &audit)
	made := 0
	for _, e := range audit.Entries {
		if e.Action == "user.create" && e.Object == "admin" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("the trail says %d times that the administrator was made", made)
	}
}

// peels lists the ids of the enrolled peels.
func (r *running) peels(t *testing.T) []string {
	t.Helper()
	var out struct{ Peels []struct{ ID string } }
	if a := r.call(t, r.token(t, access.Viewer), http.MethodGet, "/peels", nil, &out); a.status != http.StatusOK {
		t.Fatalf("listing the peels: %d %s", a.status, a.body)
	}
	ids := []string{}
	for _, p := range out.Peels {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestStopWithoutStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), "data")
	s, _ := newServer(testConfig(dir))
	stop(t, s)
	if _, err := os.Stat(dir); err == nil {
		t.Error("New or Stop made the data folder")
	}
}

// The roles of a server decide what it can answer, never who may ask: the
// route table stays the same, and what lacks its role says so with 503.
func TestRoles(t *testing.T) {
	t.Parallel()
	fleet := []string{"/peels", "/peels/", "/jobs", "/jobs/", "/enroll", "/hosts", "/events/jobs/"}
	network := []string{"/taps", "/reports", "/flows", "/dns", "/tls", "/traffic", "/top-talkers"}
	for name, test := range map[string]struct {
		roles, off []string
		says       string
		checks     []string
	}{
		"node":       {[]string{RoleNode}, fleet, "no master", []string{"database", "node"}},
		"bus master": {[]string{RoleBus, RoleMaster}, network, "no node", []string{"bus", "database"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(dataDir(t))
			cfg.Roles = test.roles
			r := start(t, cfg)
			var names []string
			for _, route := range r.edges.routes {
				names = append(names, routeName(route))
			}
			for _, problem := range unlisted(names, routeTable(t)) {
				t.Error(problem)
			}
			admin := caller{kind: "admin", by: "token", bearer: r.token(t, access.Admin)}
			for _, route := range r.edges.routes {
				if route.Pattern == "/api/v1/password" || strings.HasSuffix(route.Pattern, "/login") {
					continue // need the walk's users
				}
				a := r.send(t, r.request(t, route, admin))
				path := strings.TrimPrefix(route.Pattern, "/api/v1")
				off := slices.ContainsFunc(test.off, func(p string) bool { return strings.HasPrefix(path, p) })
				if route.Need == access.TapToken && off {
					off = a.status != http.StatusUnauthorized // who has no tap's token learns no more
				}
				if off != (a.status == http.StatusServiceUnavailable) || a.status == http.StatusInternalServerError {
					t.Errorf("%s: %d, its role is off: %v: %.300s", routeName(route), a.status, off, a.body)
				}
				api := strings.HasPrefix(route.Pattern, "/api/")
				if off && api && (!isErrorJSON(a) || !strings.Contains(a.body, test.says)) || off && !api && !strings.Contains(a.body, "not a role of this server") {
					t.Errorf("%s does not say that a role is off: %.300s", routeName(route), a.body)
				}
			}
			if checks := r.ready(t); !slices.Equal(checks, test.checks) {
				t.Errorf("ready by %v, want %v", checks, test.checks)
			}
			if on := r.BusAddr() != ""; on != slices.Contains(test.roles, RoleBus) {
				t.Errorf("the bus listens is %v", on)
			}
			if a := r.call(t, admin.bearer, http.MethodGet, "/overview", nil, nil); a.status != http.StatusOK {
				t.Errorf("the overview: %d %s", a.status, a.body)
			}
		})
	}
}

// ready returns the names of the checks of a server that is ready.
func (r *running) ready(t *testing.T) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := r.send(t, req)
	status := r.checks.Ready(t.Context())
	if a.status != http.StatusOK || !status.Ready {
		t.Errorf("not ready: %d %s", a.status, a.body)
	}
	names := []string{}
	for _, c := range status.Checks {
		names = append(names, c.Name)
	}
	return names
}

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
