package server

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
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
	fleet := []string{"/peels", "/peels/", "/jobs", "/jobs/", "/enroll", "/hosts", "/events/jobs/", "/basket", "/events/send", "/events/list", "/events/watch", "/keys/",
		"/groups", "/settings", "/files", "/servers", "/backup"}
	network := []string{"/taps", "/reports", "/flows", "/dns", "/tls", "/traffic", "/top-talkers", "/records", "/storage", "/cluster", "/nodes", "/tasks"}
	for name, test := range map[string]struct {
		roles, off []string
		says       string
		checks     []string
	}{
		"node":       {[]string{RoleNode}, fleet, "no master", []string{"database", "node"}},
		"bus master": {[]string{RoleBus, RoleMaster}, network, "no node", []string{"buckets", "bus", "database", "disk"}},
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
				off = off || route.Pattern == "/events" && name == "node" // the page; the API's route of this name tells of both planes
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
