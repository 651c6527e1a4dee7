package server

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
)

// verdict is what a caller was told, in the words of testdata/routes.txt.
// Anything that a handler itself says is "pass", unless it failed.
func verdict(a answer) string {
	to := a.header.Get("Location")
	switch {
	case a.status == http.StatusUnauthorized:
		return "401"
	case a.status == http.StatusForbidden:
		return "403"
	case a.status == http.StatusSeeOther && (to == "/login" || strings.HasPrefix(to, "/login?next=")):
		return "login"
	case a.status >= http.StatusInternalServerError:
		return fmt.Sprintf("failed with %d", a.status)
	}
	return "pass"
}

// expectation is a line of the table: a cell for each kind of caller.
type expectation map[string]string

// of is what a caller has to be told.
func (e expectation) of(c caller) string {
	session, token, both := strings.Cut(e[c.kind], "/")
	if both && c.by != "session" {
		return token
	}
	return session
}

// readTable reads a table of words in columns: a key of some fields, then a
// cell for each column.
func readTable(t *testing.T, path string, keyFields int, columns []string, words ...string) map[string]expectation {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table := map[string]expectation{}
	sc := bufio.NewScanner(file)
	for n := 1; sc.Scan(); n++ {
		fields := strings.Fields(sc.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) != keyFields+len(columns) {
			t.Fatalf("%s:%d: %d fields, want %d", path, n, len(fields), keyFields+len(columns))
		}
		key := strings.Join(fields[:keyFields], " ")
		if table[key] != nil {
			t.Fatalf("%s:%d: %s stands there twice", path, n, key)
		}
		table[key] = expectation{}
		for i, cell := range fields[keyFields:] {
			for word := range strings.SplitSeq(cell, "/") {
				if !slices.Contains(words, word) {
					t.Fatalf("%s:%d: %q is none of %v", path, n, word, words)
				}
			}
			table[key][columns[i]] = cell
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return table
}

// unlisted says which of the names that exist the table lacks, and which of
// its keys name nothing.
func unlisted(exist []string, table map[string]expectation) []string {
	var problems []string
	for _, name := range exist {
		if table[name] == nil {
			problems = append(problems, name+" exists, and the table does not say who may use it")
		}
	}
	for key := range table {
		if !slices.Contains(exist, key) {
			problems = append(problems, key+" stands in the table, and does not exist")
		}
	}
	slices.Sort(problems)
	return problems
}

func routeTable(t *testing.T) map[string]expectation {
	t.Helper()
	return readTable(t, "testdata/routes.txt", 2, callers, "pass", "401", "403", "login")
}

func routeName(r access.Route) string { return r.Method + " " + r.Pattern }

// TestEveryRouteAsEverybody walks the route table of a whole server with each
// kind of caller, through HTTPS.
func TestEveryRouteAsEverybody(t *testing.T) {
	t.Parallel()
	table := routeTable(t)
	r := start(t, testConfig(dataDir(t)))
	var names []string
	for _, route := range r.edges.routes {
		names = append(names, routeName(route))
	}
	for _, problem := range unlisted(names, table) {
		t.Error(problem)
	}
	all := r.everybody(t)
	for _, c := range all {
		for _, route := range r.edges.routes {
			e := table[routeName(route)]
			if e == nil {
				continue
			}
			as := c
			if c.cookie != nil && strings.HasSuffix(route.Pattern, "/logout") {
				as.cookie = r.login(t, "walk-"+c.kind) // this one ends
			}
			a := r.send(t, r.request(t, route, as))
			if got, want := verdict(a), e.of(c); got != want {
				t.Errorf("%s as %s (%s): %s, want %s: %d %.300s", routeName(route), c.kind, c.by, got, want, a.status, a.body)
			}
		}
	}
	r.onlyMade(t, all, table)
}

// beforeChange are the routes that want a role, and that somebody may use who
// has not changed a one-time password yet.
var beforeChange = map[string]bool{
	"GET /api/v1/whoami": true, "POST /api/v1/password": true,
	"GET /account": true, "POST /account/password": true,
}

// TestEveryRouteWithOneTimePassword walks the route table with the password
// that the first start has shown.
func TestEveryRouteWithOneTimePassword(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	r.enroll(t, "walker")
	a := r.call(t, "", http.MethodPost, "/login", map[string]string{"name": "admin", "password": r.FirstPassword()}, nil)
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("no session: %d %s", a.status, a.body)
	}
	c := caller{kind: "admin", by: "session", cookie: &http.Cookie{Name: cookies[0].Name, Value: cookies[0].Value}}
	before := r.made(t)
	refused := 0
	for _, route := range r.edges.routes {
		if route.Need <= access.TapToken {
			continue // no session changes what is said there
		}
		a := r.send(t, r.request(t, route, c))
		told := a.status == http.StatusSeeOther && a.header.Get("Location") == "/account"
		if strings.HasPrefix(route.Pattern, "/api/") {
			told = a.status == http.StatusForbidden && isErrorJSON(a) && strings.Contains(a.body, "change your password first")
		}
		if told == beforeChange[routeName(route)] {
			t.Errorf("%s: %d to %q: %.200s", routeName(route), a.status, a.header.Get("Location"), a.body)
		}
		if told {
			refused++
		}
	}
	if refused < 40 {
		t.Errorf("the walk was refused at %d routes", refused)
	}
	for what, n := range r.made(t) {
		if before[what] != n {
			t.Errorf("%s: %d, before it was %d", what, n, before[what])
		}
	}
}

// onlyMade compares what the walk has made with what it may have: whoever was
// refused has changed nothing.
func (r *running) onlyMade(t *testing.T, all []caller, table map[string]expectation) {
	t.Helper()
	made := r.made(t)
	for _, c := range all {
		jobs, by := 0, "walk-"+c.kind
		if c.by == "socket" {
			by = machineAdmin.Name
		}
		for _, key := range []string{"POST /api/v1/jobs", "POST /jobs"} {
			if table[key].of(c) == "pass" && c.by == "socket" {
				jobs++
			} else if table[key].of(c) == "pass" {
				jobs += 2 // with the token and with the session of one name
			}
		}
		if got := made["jobs by "+by]; got != jobs {
			t.Errorf("%s has run %d jobs, want %d", c.kind, got, jobs)
		}
		for key, name := range map[string]string{"POST /api/v1/users": "user made-by-", "POST /api/v1/taps": "tap made-by-", "POST /taps": "tap page-by-"} {
			if got, want := made[name+c.name()] > 0, table[key].of(c) == "pass"; got != want {
				t.Errorf("%s as %s: made something is %v, want %v", key, c.name(), got, want)
			}
		}
	}
}

// made counts what there is: "user NAME", "tap NAME", "jobs by NAME".
func (r *running) made(t *testing.T) map[string]int {
	t.Helper()
	admin := r.token(t, access.Admin)
	type named []struct{ Name string }
	var users struct{ Users named }
	var taps struct{ Taps named }
	var jobs struct{ Jobs []struct{ By string } }
	r.call(t, admin, http.MethodGet, "/users", nil, &users)
	r.call(t, admin, http.MethodGet, "/taps", nil, &taps)
	r.call(t, admin, http.MethodGet, "/jobs", nil, &jobs)
	made := map[string]int{}
	for _, u := range users.Users {
		made["user "+u.Name]++
	}
	for _, tap := range taps.Taps {
		made["tap "+tap.Name]++
	}
	for _, j := range jobs.Jobs {
		made["jobs by "+j.By]++
	}
	return made
}

// harmless are the unsafe routes that less than an operator may use, each with
// the reason. It is a second look at the table: a line there that lets a
// viewer change anything else fails.
var harmless = map[string]string{
	"POST /api/v1/login": "checks a password", "POST /login": "checks a password",
	"POST /api/v1/logout": "one's own session", "POST /logout": "one's own session",
	"POST /theme":                "a cookie of colours",
	"POST /api/v1/password":      "one's own, by the old one",
	"POST /account/password":     "one's own, by the old one",
	"POST /api/v1/tokens":        "one's own, no higher than oneself",
	"POST /account/tokens":       "one's own, no higher than oneself",
	"DELETE /api/v1/tokens/{id}": "one's own", "POST /account/tokens/revoke": "one's own",
	"POST /api/v1/enroll/begin": "checks a token", "POST /api/v1/enroll/answer": "checks a key",
	"POST /api/v1/enroll/poll": "checks a key", "POST /api/v1/enroll/renew": "checks a key",
	"POST /api/v1/reports":      "checks a tap's token",
	"POST /api/v1/servers/join": "the token speaks for the server that joins",
	"POST /api/v1/":             "not found", "PUT /api/v1/": "not found", "PATCH /api/v1/": "not found", "DELETE /api/v1/": "not found",
	"POST /api/": "not found", "PUT /api/": "not found", "PATCH /api/": "not found", "DELETE /api/": "not found",
}

func TestTableLetsNoViewerChangeAnything(t *testing.T) {
	t.Parallel()
	rank := map[string]int{}
	for i, kind := range []string{"nobody", "viewer", "operator", "admin"} {
		rank[kind] = i
	}
	for route, e := range routeTable(t) {
		open := e["nobody"] == "pass" || e["peel"] == "pass" || e["tap"] == "pass" || strings.Contains(e["viewer"], "pass")
		if !strings.HasPrefix(route, "GET ") && open && harmless[route] == "" {
			t.Errorf("%s changes something, and %v may", route, e)
		}
		// A higher role may do what a lower one may.
		for low, i := range rank {
			for high, j := range rank {
				if i < j && e[low] == "pass" && e[high] != "pass" {
					t.Errorf("%s: %s may, %s may not", route, low, high)
				}
			}
		}
	}
	for route := range harmless {
		if routeTable(t)[route] == nil {
			t.Errorf("%s is no route any more", route)
		}
	}
}

// The comparison itself: a route without a line fails, and the reverse.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	got := unlisted([]string{"GET /new", "GET /known"}, map[string]expectation{"GET /known": {}, "GET /gone": {}})
	if len(got) != 2 || !strings.HasPrefix(got[0], "GET /gone stands") || !strings.HasPrefix(got[1], "GET /new exists") {
		t.Errorf("%q", got)
	}
}
