package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
)

// Every route that changes something refuses what a page of another site made
// a browser send, whichever way the browser tells of it, and public routes do
// too: a login by force is a trick as well.
func TestOtherSitesAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	r.addUser(t, "walk-admin", access.Admin)
	r.enroll(t, "walker")
	admin := caller{kind: "admin", by: "session", cookie: r.login(t, "walk-admin")}
	before := r.made(t)
	signs := map[string]http.Header{
		"cross-site":  {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"same-site":   {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://evil.localhost"}},
		"only origin": {"Origin": {"https://evil.example"}},
		"no origin":   {"Origin": {"null"}},
	}
	unsafe := 0
	for _, route := range r.edges.routes {
		if route.Method == http.MethodGet {
			continue
		}
		unsafe++
		for name, sign := range signs {
			for _, c := range []caller{admin, {kind: "nobody", by: "nothing"}} {
				req := r.request(t, route, c)
				for _, key := range []string{"Sec-Fetch-Site", "Origin"} {
					req.Header.Del(key)
					if v := sign.Get(key); v != "" {
						req.Header.Set(key, v)
					}
				}
				if a := r.send(t, req); a.status != http.StatusForbidden {
					t.Errorf("%s as %s, %s: %d %.200s", routeName(route), c.kind, name, a.status, a.body)
				}
			}
		}
	}
	if unsafe < 30 {
		t.Errorf("the walk met %d routes that change something", unsafe)
	}
	after := r.made(t)
	for what, n := range after {
		if before[what] != n {
			t.Errorf("%s: %d, before it was %d", what, n, before[what])
		}
	}
}

// TestEveryAnswerIsGuarded asks every route as nobody: whatever is answered, a
// page, an error or a redirect, says what a browser may make of it.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	for _, route := range r.edges.routes {
		a := r.send(t, r.request(t, route, caller{kind: "nobody", by: "nothing"}))
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") && !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %d with the policy %q", routeName(route), a.status, policy)
		}
		if got := a.header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: %d with X-Content-Type-Options %q", routeName(route), a.status, got)
		}
	}
}

// TestUnknownPaths asks for what is not there: programs get JSON, browsers a
// page.
func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	for _, test := range []struct {
		method, path string
		status       int
		json         bool
	}{
		{"GET", "/api/v1/nothing", 404, true},
		{"POST", "/api/v1/nothing/at/all", 404, true},
		{"DELETE", "/api/v1/peels/x/y", 404, true},
		{"GET", "/api/v1", 307, false}, // to /api/v1/
		{"GET", "/api", 307, false},
		{"GET", "/api/", 404, true},
		{"GET", "/api/v2/peels", 404, true},
		{"POST", "/api/v2/jobs", 404, true},
		{"GET", "/apinothing", 404, false},
		{"GET", "/nothing", 404, false},
		{"GET", "/hosts/x/y", 404, false},
		{"GET", "/static/nothing.js", 404, false},
		{"DELETE", "/api/v1/peels", 405, true},
		{"PATCH", "/api/v1/users", 405, true},
		{"GET", "/api/v1/login", 405, true},
		{"GET", "/api/v1/reports", 405, true},
		{"GET", "/api/v1/enrollments/x/approve", 405, true},
		{"POST", "/hosts", 405, false},
		{"DELETE", "/jobs", 405, false},
		{"PUT", "/healthz", 405, false},
		{"POST", "/metrics", 405, false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, r.URL()+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := r.send(t, req)
		if a.status != test.status {
			t.Errorf("%s %s: %d, want %d: %.200s", test.method, test.path, a.status, test.status, a.body)
			continue
		}
		if isError := isErrorJSON(a); isError != test.json {
			t.Errorf("%s %s: an error in JSON is %v, want %v: %.200s", test.method, test.path, isError, test.json, a.body)
		}
		if a.status == http.StatusMethodNotAllowed && (a.header.Get("Allow") == "" || strings.Contains(a.header.Get("Allow"), test.method)) {
			t.Errorf("%s %s: allowed is %q", test.method, test.path, a.header.Get("Allow"))
		}
	}
}

// isErrorJSON reports whether the body is an error as the API words them.
func isErrorJSON(a answer) bool {
	var body struct {
		Error struct{ Kind, Message string }
	}
	return strings.HasPrefix(a.header.Get("Content-Type"), "application/json") &&
		json.Unmarshal([]byte(a.body), &body) == nil && body.Error.Kind != "" && body.Error.Message != ""
}

// A refusal under /api is JSON that says what to do, wherever it comes from.
func TestRefusalsOfTheAPIAreJSON(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	for _, route := range r.edges.routes {
		if !strings.HasPrefix(route.Pattern, "/api/") || route.Need == access.Public {
			continue
		}
		if a := r.send(t, r.request(t, route, caller{kind: "nobody", by: "nothing"})); !isErrorJSON(a) || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v %.200s", routeName(route), a.status, a.header, a.body)
		}
	}
}
