package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// Values for the parameters of patterns. Each is plausible and names nothing
// that exists, so that who passes the guard is told 404.
var parameters = map[string]string{
	"{$}": "", "{id}": "no-such-host", "{name}": "no-such-name",
	"{jid}": "0198c0de-0000-7000-8000-000000000000", "{kind}": "master-key", "{sha256}": strings.Repeat("ab", 32), "{n}": "0",
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// pathOf is a path that the pattern matches.
func pathOf(t *testing.T, pattern string) string {
	t.Helper()
	path := parameter.ReplaceAllStringFunc(pattern, func(p string) string {
		value, ok := parameters[p]
		if !ok {
			t.Errorf("%s: give a value for the parameter %s in the table of this test", pattern, p)
		}
		return value
	})
	// What ends on a slash takes everything below it.
	if strings.HasSuffix(path, "/") && path != "/" {
		path += "nothing"
	}
	if pattern == "/" {
		path = "/nothing"
	}
	return path
}

// bodies of requests that would do something, were they let in. That name is
// the caller's own, so that what a caller made can be found. A service's own
// refusals of a right role (401, 403) are avoided: whoever logs in has the
// right password, a password to change to is too short.
var bodies = map[string]func(name string) any{
	"POST /api/v1/login":    func(string) any { return map[string]any{"name": "walk-viewer", "password": walkPassword} },
	"POST /api/v1/password": func(string) any { return map[string]any{"old": "x", "new": "short"} },
	"POST /api/v1/jobs": func(string) any {
		return map[string]any{"target": "walker", "function": "test.ping", "timeout": "1s"}
	},
	"POST /api/v1/jobs/plan":                func(string) any { return map[string]any{"target": "*", "function": "test.ping"} },
	"POST /api/v1/keys/{kind}/rotate":       nothing,
	"POST /api/v1/cluster/tasks/{id}/retry": nothing, "POST /api/v1/nodes/{id}/drain": nothing, "POST /api/v1/nodes/{id}/undrain": nothing,
	"POST /api/v1/jobs/{jid}/cancel": nothing, "POST /api/v1/jobs/{jid}/pause": nothing,
	"POST /api/v1/jobs/{jid}/resume": nothing, "POST /api/v1/jobs/{jid}/retry": nothing,
	"POST /api/v1/events/send":              func(name string) any { return map[string]any{"name": "made." + name} },
	"PUT /api/v1/settings/layers/{name}":    func(string) any { return map[string]any{"target": "nobody", "data": "{}"} },
	"POST /api/v1/files":                    func(string) any { return map[string]any{"sha256": strings.Repeat("ab", 32), "size": 1} },
	"PUT /api/v1/files/{sha256}/chunks/{n}": nothing, "POST /api/v1/files/{sha256}/complete": nothing,
	"PUT /api/v1/groups/{name}":            func(string) any { return map[string]any{"target": "web-*"} },
	"POST /api/v1/enroll-tokens":           func(string) any { return map[string]any{"ttl": "5m"} },
	"POST /api/v1/enrollments/{id}/reject": nothing, "POST /api/v1/enrollments/{id}/revoke": nothing,
	"POST /api/v1/taps":              func(name string) any { return map[string]any{"name": "made-by-" + name} },
	"PUT /api/v1/taps/{name}/tenant": func(string) any { return map[string]any{"tenant": "acme"} },
	"POST /api/v1/tokens":            func(name string) any { return map[string]any{"name": "made-by-" + name} },
	"POST /api/v1/users": func(name string) any {
		return map[string]any{"name": "made-by-" + name, "password": walkPassword, "role": "viewer"}
	},
	"PUT /api/v1/users/{name}/password": func(string) any { return map[string]any{"password": walkPassword} },
	"PUT /api/v1/users/{name}/role":     func(string) any { return map[string]any{"role": "admin"} },
	"PUT /api/v1/users/{name}/uid":      func(string) any { return map[string]any{"uid": 4711} },

	"POST /login":  func(string) any { return url.Values{"name": {"walk-viewer"}, "password": {walkPassword}} },
	"POST /logout": func(string) any { return url.Values{} },
	"POST /theme":  func(string) any { return url.Values{"theme": {"dark"}} },
	"POST /jobs": func(string) any {
		return url.Values{"target": {"walker"}, "function": {"test.ping"}, "timeout": {"1"}}
	},
	"POST /jobs/{jid}":       func(string) any { return url.Values{"action": {"cancel"}} },
	"POST /taps":             func(name string) any { return url.Values{"name": {"page-by-" + name}} },
	"POST /enrollment":       func(string) any { return url.Values{"ttl": {"1h"}} },
	"POST /enrollment/{id}":  func(string) any { return url.Values{"do": {"approve"}} },
	"POST /account/password": func(string) any { return url.Values{"old": {"x"}, "new": {"short"}} },
	"POST /account/tokens": func(name string) any {
		return url.Values{"name": {"page-by-" + name}, "role": {"viewer"}, "ttl": {"24h"}}
	},
	"POST /account/tokens/revoke": func(string) any { return url.Values{"id": {"no-such-token"}} },
}

// nothing is the body of a route whose path says it all.
func nothing(string) any { return nil }

// request is what a caller sends to a route.
func (r *running) request(t *testing.T, route access.Route, c caller) *http.Request {
	t.Helper()
	var body io.Reader
	kind := ""
	switch in := r.body(t, route, c).(type) {
	case nil:
	case url.Values:
		kind, body = "application/x-www-form-urlencoded", strings.NewReader(in.Encode())
	case []byte:
		kind, body = report.ContentType, bytes.NewReader(in)
	default:
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		kind, body = "application/json", bytes.NewReader(data)
	}
	base := r.URL()
	if c.by == "socket" {
		base = "http://" + socketHost
	}
	req, err := http.NewRequestWithContext(t.Context(), route.Method, base+pathOf(t, route.Pattern), body)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	c.dress(req)
	return req
}

func (r *running) body(t *testing.T, route access.Route, c caller) any {
	t.Helper()
	key := route.Method + " " + route.Pattern
	if key == "POST /api/v1/reports" {
		return walkReport(t)
	}
	if of, ok := bodies[key]; ok {
		return of(c.name())
	}
	if route.In != nil && route.Method != http.MethodGet && route.Method != http.MethodDelete {
		return map[string]any{}
	}
	return nil
}

// walkReport is a small report of the tap walker.
func walkReport(t *testing.T) []byte {
	t.Helper()
	id := network.Identity{Tap: "walker", Boot: reporttest.Boot(1), Sequence: 1}
	body, err := report.Encode(reporttest.New(1, id, time.Now(), reporttest.Size{Flows: 3, DNS: 1, TLS: 1}))
	if err != nil {
		t.Fatal(err)
	}
	return body
}
