package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// serverToken makes a token for a further server; says is what the answer has
// to say when there is none.
func (r *running) serverToken(t *testing.T, says string, roles ...string) string {
	t.Helper()
	var out struct{ Token string }
	a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/servers/tokens", map[string]any{"roles": roles}, &out)
	if says == "" && a.status != http.StatusOK || says != "" && !strings.Contains(a.body, says) {
		t.Fatalf("a token for a server: %d %s", a.status, a.body)
	}
	return out.Token
}

// joiner is a join to r, into a new folder, on free ports.
func (r *running) joiner(t *testing.T, token, name string) joining {
	t.Helper()
	dir := dataDir(t)
	return joining{
		server: r.URL(), pin: r.Pin(), token: token, name: name, dir: filepath.Join(dir, "data"), config: filepath.Join(dir, "rind.yaml"),
		listen: "127.0.0.1:0", busListen: "127.0.0.1:0", cluster: freeAddr(t),
	}
}

// startFrom starts a server from the file that a join wrote.
func startFrom(t *testing.T, file string) *running {
	t.Helper()
	cfg := DefaultConfig()
	if _, err := config.Load(&cfg, config.Source{File: file, FileRequired: true}); err != nil {
		t.Fatal(err)
	}
	cfg.NATS.JetStream.MaxFileStore, cfg.NATS.JetStream.MaxMemStore = "2GiB", "256MiB"
	cfg.NATS.ReadyTimeout = 30 * time.Second
	return start(t, cfg)
}

// founder is a server that others can join.
func founder(t *testing.T, engine database.Engine) *running {
	t.Helper()
	cfg := testConfig(dataDir(t))
	cfg.Master.Name = "one"
	cfg.NATS.Cluster.Listen = freeAddr(t)
	if engine == database.PostgreSQL {
		cfg.Database.URL = databasetest.URL(t, engine)
	}
	return start(t, cfg)
}

func TestThreeServersThatJoined(t *testing.T) {
	t.Parallel()
	one := founder(t, database.PostgreSQL)
	one.enroll(t, "web-01")
	all := []*running{one}
	for _, name := range []string{"two", "three"} {
		j := one.joiner(t, one.serverToken(t, ""), name)
		gift, err := j.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !gift.Streams || !slices.Contains(gift.Routes, one.cfg.NATS.Cluster.Listen) {
			t.Errorf("%s is told %v, streams %v", name, gift.Routes, gift.Streams)
		}
		for _, file := range []string{"pki/ca.key", "keys/operator.nk", "keys/fleet-root.ed25519"} {
			if info, err := os.Stat(filepath.Join(j.dir, file)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", file, info, err)
			}
		}
		if info, err := os.Stat(j.config); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the configuration has the database's password: %v, %v", info, err)
		}
		if _, err := os.Stat(filepath.Join(j.dir, "keys", "master.ed25519")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a master's own key was handed on: %v", err)
		}
		all = append(all, startFrom(t, j.config))
	}
	for i, r := range all {
		if got := r.peels(t); !slices.Equal(got, []string{"web-01"}) {
			t.Errorf("server %d knows the peels %v", i, got)
		}
		if r.Pin() != one.Pin() {
			t.Errorf("server %d has another CA", i)
		}
	}
	// Who is enrolled at one is known to all, and told of every bus.
	all[2].enroll(t, "web-02")
	for i, r := range all {
		for end := time.Now().Add(30 * time.Second); !slices.Equal(r.peels(t), []string{"web-01", "web-02"}); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("server %d knows %v", i, r.peels(t))
			}
		}
		urls := busURLs(r.cfg.NATS, r.daemon)("127.0.0.1")
		if len(urls) != 3 || urls[0] != "tls://"+r.BusAddr() {
			t.Errorf("server %d tells peels of %v", i, urls)
		}
	}
	if trail := one.trail(t); !strings.Contains(trail, "server.token") || !strings.Contains(trail, "server.join") {
		t.Errorf("the trail says nothing of the servers: %s", trail)
	}
}

// trail is the audit trail as JSON.
func (r *running) trail(t *testing.T) string {
	t.Helper()
	a := r.call(t, r.token(t, access.Admin), http.MethodGet, "/audit", nil, nil)
	if a.status != http.StatusOK {
		t.Fatalf("the trail: %d %s", a.status, a.body)
	}
	return a.body
}

func TestJoinWithTheBusAlone(t *testing.T) {
	t.Parallel()
	one := founder(t, database.SQLite)
	one.serverToken(t, "rind database move postgres://")
	one.serverToken(t, "rind database move postgres://", RoleNode)
	j := one.joiner(t, one.serverToken(t, "", RoleBus), "")
	if _, err := j.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(j.dir, filepath.FromSlash(rootKeyFile))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a carrier was given the fleet's root key: %v", err)
	}
	two := startFrom(t, j.config)
	if _, err := os.Stat(filepath.Join(j.dir, filepath.FromSlash(rootKeyFile))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a carrier made a root key of its own: %v", err)
	}
	two.ready(t)
	stop(t, two.Server)
	cfg := two.cfg
	cfg.Roles = []string{RoleBus, RoleMaster}
	s, _ := newServer(cfg)
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "--role bus,master") {
		stop(t, s)
		t.Errorf("a carrier became a master: %v", err)
	}
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	one := founder(t, database.SQLite)
	alone := start(t, testConfig(dataDir(t)))
	alone.serverToken(t, "nats.cluster.listen", RoleBus)

	used := one.joiner(t, one.serverToken(t, "", RoleBus), "")
	if _, err := used.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := one.serverToken(t, "", RoleBus)
	for name, test := range map[string]struct {
		change func(*joining)
		says   string
	}{
		"a token that was used":        {func(j *joining) { j.token = used.token }, "rind server token"},
		"a token of another fleet":     {func(j *joining) { j.token = "rindserver_0011223344556677_00" }, "rind server token"},
		"another pin":                  {func(j *joining) { j.pin = alone.Pin() }, "rind server pin"},
		"no pin":                       {func(j *joining) { j.pin = "sha256:00" }, "no pin"},
		"another fleet's folder":       {func(j *joining) { j.dir = withCAOf(t, alone.cfg.DataDir) }, "another fleet"},
		"a folder in use":              {func(j *joining) { j.dir = one.cfg.DataDir }, "another server runs"},
		"a folder that joined and ran": {func(j *joining) { j.dir = ran(t, used) }, "holds a server already"},
		"a configuration":              {func(j *joining) { j.config = used.config }, "--config"},
		"no port":                      {func(j *joining) { j.cluster = "6222" }, "ADDRESS:PORT"},
		"nobody there":                 {func(j *joining) { j.server = "https://" + closed(t) }, "asking"},
	} {
		j := one.joiner(t, good, "")
		test.change(&j)
		if _, err := j.run(t.Context()); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(j.dir, "bus")); err == nil && j.dir != one.cfg.DataDir && !strings.Contains(name, "ran") {
			t.Errorf("%s: something was written", name)
		}
	}
	j := one.joiner(t, good, "")
	if _, err := j.run(t.Context()); err != nil {
		t.Errorf("the token after all that: %v", err)
	}
}

// withCAOf is a folder that holds the CA of another one.
func withCAOf(t *testing.T, from string) string {
	t.Helper()
	dir := dataDir(t)
	share(t, from, dir)
	return dir
}

// ran is the folder of a join whose server has run.
func ran(t *testing.T, j joining) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(j.dir, "bus"), 0o700); err != nil {
		t.Fatal(err)
	}
	return j.dir
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
