package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// needs says for each route who may call it. A route that is not here, or no
// longer there, fails the test.
var needs = map[string]access.Need{
	"POST /files": access.NeedOperator, "PUT /files/{sha256}/chunks/{n}": access.NeedOperator, "POST /files/{sha256}/complete": access.NeedOperator,
	"GET /peels/{id}/files/{sha256}/chunks/{n}": access.NeedOperator, "DELETE /peels/{id}/files/{sha256}": access.NeedOperator,

	"GET /peels":                     access.NeedViewer,
	"GET /peels/{id}":                access.NeedViewer,
	"GET /targets/test":              access.NeedViewer,
	"GET /groups":                    access.NeedViewer,
	"GET /groups/{name}":             access.NeedViewer,
	"PUT /groups/{name}":             access.NeedOperator,
	"DELETE /groups/{name}":          access.NeedOperator,
	"GET /settings/layers":           access.NeedViewer,
	"GET /settings/layers/{name}":    access.NeedOperator,
	"PUT /settings/layers/{name}":    access.NeedOperator,
	"DELETE /settings/layers/{name}": access.NeedOperator,
	"GET /peels/{id}/settings":       access.NeedOperator,
	"POST /jobs":                     access.NeedOperator,
	"GET /jobs":                      access.NeedViewer,
	"GET /jobs/{jid}":                access.NeedViewer,
	"GET /jobs/{jid}/events":         access.NeedViewer,
	"POST /jobs/plan":                access.NeedOperator,
	"POST /jobs/{jid}/cancel":        access.NeedOperator,
	"POST /jobs/{jid}/pause":         access.NeedOperator,
	"POST /jobs/{jid}/resume":        access.NeedOperator,
	"POST /jobs/{jid}/retry":         access.NeedOperator,
	"POST /enroll-tokens":            access.NeedAdmin,
	"POST /servers/tokens":           access.NeedAdmin,
	"POST /servers/join":             access.Public,
	"GET /enrollments":               access.NeedViewer,
	"GET /enrollments/{id}":          access.NeedViewer,
	"POST /enrollments/{id}/approve": access.NeedAdmin,
	"POST /enrollments/{id}/reject":  access.NeedAdmin,
	"POST /enrollments/{id}/revoke":  access.NeedAdmin,
	"POST /enroll/begin":             access.Public,
	"POST /enroll/answer":            access.Public,
	"POST /enroll/poll":              access.Public,
	"POST /enroll/renew":             access.Public,
	"GET /taps":                      access.NeedViewer,
	"POST /taps":                     access.NeedAdmin,
	"POST /taps/{name}/rotate":       access.NeedAdmin,
	"PUT /taps/{name}/tenant":        access.NeedAdmin,
	"DELETE /taps/{name}":            access.NeedAdmin,
	"POST /reports":                  access.TapToken,
	"GET /cluster":                   access.NeedViewer,
	"GET /cluster/tasks":             access.NeedViewer,
	"POST /cluster/tasks/{id}/retry": access.NeedAdmin,
	"POST /nodes/{id}/drain":         access.NeedAdmin,
	"POST /nodes/{id}/undrain":       access.NeedAdmin,
	"GET /flows":                     access.NeedViewer,
	"GET /dns":                       access.NeedViewer,
	"GET /tls":                       access.NeedViewer,
	"GET /records":                   access.NeedViewer,
	"GET /records/{kind}":            access.NeedViewer,
	"GET /traffic":                   access.NeedViewer,
	"GET /storage":                   access.NeedViewer,
	"GET /top-talkers":               access.NeedViewer,
	"GET /overview":                  access.NeedViewer,
	"POST /login":                    access.Public,
	"POST /logout":                   access.Public,
	"GET /whoami":                    access.NeedViewer,
	"POST /password":                 access.NeedViewer,
	"GET /users":                     access.NeedAdmin,
	"POST /users":                    access.NeedAdmin,
	"PUT /users/{name}/password":     access.NeedAdmin,
	"PUT /users/{name}/role":         access.NeedAdmin,
	"PUT /users/{name}/uid":          access.NeedAdmin,
	"DELETE /users/{name}":           access.NeedAdmin,
	"GET /tokens":                    access.NeedViewer,
	"POST /tokens":                   access.NeedViewer,
	"DELETE /tokens/{id}":            access.NeedViewer,
	"GET /audit":                     access.NeedAdmin,
	"POST /keys/{kind}/rotate":       access.NeedAdmin,
	"GET /backup":                    access.NeedAdmin,
	"GET /events":                    access.NeedViewer,
	"GET /basket":                    access.NeedViewer,
	"GET /basket/{name}":             access.NeedViewer,
	"POST /events/send":              access.NeedOperator,
	"GET /events/list":               access.NeedViewer,
	"GET /events/watch":              access.NeedViewer,
	"GET /openapi.json":              access.Public,
	"GET /version":                   access.NeedViewer,
	"GET /":                          access.Public,
	"POST /":                         access.Public,
	"PUT /":                          access.Public,
	"PATCH /":                        access.Public,
	"DELETE /":                       access.Public,
}

func name(r access.Route) string { return r.Method + " " + strings.TrimPrefix(r.Pattern, "/api/v1") }

func TestRouteTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range api.New(api.Deps{}).Routes() {
		seen[name(r)] = true
		if want, ok := needs[name(r)]; !ok || r.Need != want {
			t.Errorf("%s needs %s; the table here says %s", name(r), r.Need, want)
		}
		if r.Summary == "" || r.Handler == nil {
			t.Errorf("%s has no summary or no handler", name(r))
		}
	}
	for n := range needs {
		if !seen[n] {
			t.Errorf("%s is not there any more", n)
		}
	}
}

var parameter = regexp.MustCompile(`\{[a-z0-9]+\}`)

// TestWhoMayCallWhat asks every route as everybody.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	tokens := map[access.Role]string{access.NoRole: ""}
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		tokens[role] = s.Token(t, role)
	}
	least := map[access.Need]access.Role{access.NeedViewer: access.Viewer, access.NeedOperator: access.Operator, access.NeedAdmin: access.Admin}
	for _, r := range s.API.Routes() {
		path := parameter.ReplaceAllString(r.Pattern, "nobody")
		for role, token := range tokens {
			if _, streams := r.Out.(endpoint.Stream); streams && role >= least[r.Need] && (r.Pattern == "/api/v1/events" || r.Pattern == "/api/v1/events/watch") {
				continue // it would not end
			}
			res, body := do(t, s, request{method: r.Method, path: path, token: token})
			want := 0
			switch {
			case r.Need == access.Public:
			case r.Need == access.TapToken && token == "":
				want = http.StatusUnauthorized
			case r.Need == access.TapToken:
			case role == access.NoRole:
				want = http.StatusUnauthorized
			case role < least[r.Need]:
				want = http.StatusForbidden
			}
			refused := res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
			if want == 0 && refused && r.Need != access.Public || want != 0 && res.StatusCode != want {
				t.Errorf("%s as %s: %d, want %d: %s", name(r), role, res.StatusCode, want, body)
			}
		}
	}
	res, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/peels", token: "rind_0123456789abcdef_wrong"})
	if e := refusal(t, body); res.StatusCode != http.StatusUnauthorized || e.Kind != "unauthorized" {
		t.Errorf("a wrong token: %d %s", res.StatusCode, body)
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	_, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/openapi.json"})
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary    string
			Responses  map[string]json.RawMessage
			Parameters []struct{ Name, In string }
			Body       json.RawMessage `json:"requestBody"`
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	decode(t, body, &doc)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi is %q", doc.OpenAPI)
	}
	for _, r := range s.API.Routes() {
		if r.Pattern == "/api/v1/" {
			continue
		}
		op, ok := doc.Paths[r.Pattern][strings.ToLower(r.Method)]
		if !ok || op.Summary == "" || op.Responses["default"] == nil || len(op.Responses) < 2 {
			t.Errorf("%s is described by %+v", name(r), op)
		}
		declared := map[string]bool{}
		for _, p := range op.Parameters {
			declared[p.In+" "+p.Name] = true
		}
		for _, p := range parameter.FindAllString(r.Pattern, -1) {
			if !declared["path "+strings.Trim(p, "{}")] {
				t.Errorf("%s does not describe %s", name(r), p)
			}
		}
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/(\w+)"`).FindAllStringSubmatch(body, -1) {
		if len(doc.Components.Schemas[ref[1]]) <= len("{}") {
			t.Errorf("the schema %s is referred to and not there", ref[1])
		}
	}
	job := string(doc.Components.Schemas["Job"])
	for _, want := range []string{`"jid":{"type":"string"}`, `"created":{"format":"date-time","type":"string"}`, `"summary":{"$ref":"#/components/schemas/Summary"}`} {
		if !strings.Contains(job, want) {
			t.Errorf("the schema Job lacks %s: %s", want, job)
		}
	}
	for _, row := range []string{"Flow", "DNS", "TLS"} {
		var schema struct {
			Properties map[string]struct{ Type string }
		}
		decode(t, string(doc.Components.Schemas[row]), &schema)
		if got := schema.Properties["id"].Type; got != "string" {
			t.Errorf("the id of a %s row is a JSON %s", row, got)
		}
	}
	flow := string(doc.Components.Schemas["Flow"])
	if !strings.Contains(flow, `"community_id"`) || !strings.Contains(flow, `"source_port":{"maximum":65535,"minimum":0,"type":"integer"}`) {
		t.Errorf("the schema Flow lacks what it embeds: %s", flow)
	}
	if op := doc.Paths["/api/v1/jobs"]["post"]; !strings.Contains(string(op.Body), `"required":["target","function"]`) {
		t.Errorf("the body of POST /jobs is %s", op.Body)
	}
}

// emptySum is the SHA-256 of nothing.
const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TestEveryChangeIsAudited calls every route that changes something, well and
// badly, and looks for both in the trail.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(peel("web-01"), apitest.Always(apitest.OK(true)))
	admin := s.Token(t, access.Admin)
	s.Enroll.Records["web-09"] = enroll.Record{ID: "web-09", State: enroll.Pending}
	if _, err := s.Access.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	const password = "correct horse battery staple"
	running := s.Fleet.Unfinished(fleet.JobRunning).JID
	calls := []struct{ route, path, good, action, object, bad string }{
		{"POST /jobs", "", `{"target":"web-*","function":"cmd.run","args":["reboot"]}`, "job.run", jid, `{"target":"no","function":"x"}`},
		{"POST /jobs/{jid}/pause", running, ``, "job.pause", running, "none"},
		{"POST /jobs/{jid}/resume", running, ``, "job.resume", running, "none"},
		{"POST /jobs/{jid}/cancel", running, ``, "job.cancel", running, "none"},
		{"POST /jobs/{jid}/retry", running, ``, "job.retry", running, "none"},
		{"POST /events/send", "", `{"name":"deploy.done","data":{"version":7}}`, "event.send", "deploy.done", `{"name":"Deploy"}`},
		{"PUT /groups/{name}", "web", `{"target":"web-*"}`, "group.set", "web", `{"target":"N@none"}`},
		{"DELETE /groups/{name}", "web", ``, "group.delete", "web", "none"},
		{"PUT /settings/layers/{name}", "base", `{"target":"*","data":"a: 1"}`, "settings.layer.set", "base", `{"target":"I@a:1","data":"a: 1"}`},
		{"DELETE /settings/layers/{name}", "base", ``, "settings.layer.delete", "base", "none"},
		{"POST /files", "", `{"sha256":"` + emptySum + `","size":0,"name":"empty"}`, "file.upload", emptySum, `{"sha256":"` + emptySum + `","size":-1}`},
		{"POST /files/{sha256}/complete", emptySum, ``, "file.complete", emptySum, "none"},
		{"POST /enroll-tokens", "", `{"auto_approve":true}`, "enroll.token", "t1", ""},
		{"POST /servers/tokens", "", `{"roles":["bus"]}`, "server.token", "s1", ""},
		{"POST /servers/join", "", `{"token":"the-server-secret","host":"bus2"}`, "server.join", "bus2", ""},
		{"POST /enrollments/{id}/approve", "web-09", ``, "enroll.approve", "web-09", "none"},
		{"POST /enrollments/{id}/reject", "web-09", ``, "enroll.reject", "web-09", "none"},
		{"POST /enrollments/{id}/revoke", "web-09", ``, "enroll.revoke", "web-09", "none"},
		{"POST /enroll/answer", "", `{"id":"web-10","challenge":"c1"}`, "enroll.ask", "web-10", ""},
		{"POST /taps", "", `{"name":"office"}`, "tap.add", "office", `{"name":"office"}`},
		{"POST /taps/{name}/rotate", "office", ``, "tap.rotate", "office", "none"},
		{"PUT /taps/{name}/tenant", "office", `{"tenant":"acme"}`, "tap.tenant", "office", `{"tenant":"A C"}`},
		{"DELETE /taps/{name}", "office", ``, "tap.revoke", "office", "none"},
		{"POST /cluster/tasks/{id}/retry", "t1", ``, "task.retry", "t1", "none"},
		{"POST /nodes/{id}/drain", "node-2", ``, "node.drain", "node-2", "none"},
		{"POST /nodes/{id}/undrain", "node-2", ``, "node.undrain", "node-2", "none"},
		{"POST /users", "", `{"name":"anna","password":"` + password + `","role":"viewer"}`, "user.create", "anna", `{"name":"anna","password":"` + password + `","role":"viewer"}`},
		{"PUT /users/{name}/password", "anna", `{"password":"` + password + `2"}`, "user.password", "anna", "none"},
		{"PUT /users/{name}/role", "anna", `{"role":"operator"}`, "user.role", "anna", "none"},
		{"PUT /users/{name}/uid", "anna", `{"uid":1000}`, "user.uid", "anna", "none"},
		{"DELETE /users/{name}", "anna", ``, "user.delete", "anna", "none"},
		{"POST /keys/{kind}/rotate", "scoped-key", ``, "key.rotate", "scoped-key", ""},
		{"POST /tokens", "", `{"name":"backup"}`, "token.create", "", ""},
	}
	exempt := map[string]string{
		"POST /jobs/plan":    "sends nothing",
		"POST /enroll/begin": "gives a nonce, decides nothing", "POST /enroll/poll": "reads", "POST /enroll/renew": "renews what was approved",
		"POST /reports": "is data", "POST /login": "is in the trail of package access", "POST /logout": "is in the trail of package access",
		"POST /password": "is in TestOwnPassword", "DELETE /tokens/{id}": "is in TestTokens",
		"PUT /files/{sha256}/chunks/{n}": "is a part of what POST /files says", "DELETE /peels/{id}/files/{sha256}": "is in TestFilesOfPeels",
	}
	for _, c := range calls {
		exempt[c.route] = "is tested here"
		method, pattern, _ := strings.Cut(c.route, " ")
		path := parameter.ReplaceAllString("/api/v1"+pattern, c.path)
		res, body := do(t, s, request{method: method, path: path, token: admin, body: c.good})
		if res.StatusCode/100 != 2 {
			t.Errorf("%s: %s %s", c.route, res.Status, body)
		}
		checkTrail(t, s, admin, c.action, c.object, true)
		switch {
		case c.bad == "none":
			res, _ = do(t, s, request{method: method, path: parameter.ReplaceAllString("/api/v1"+pattern, "none"), token: admin, body: c.good})
			c.object = "none"
		case c.bad != "":
			res, _ = do(t, s, request{method: method, path: path, token: admin, body: c.bad})
			c.object = map[bool]string{true: "", false: c.object}[c.action == "job.run" || c.action == "event.send"]
		default:
			continue
		}
		if res.StatusCode/100 == 2 {
			t.Errorf("%s: the bad call went well", c.route)
		}
		checkTrail(t, s, admin, c.action, c.object, false)
	}
	for _, r := range s.API.Routes() {
		if r.Method != http.MethodGet && r.Pattern != "/api/v1/" && exempt[name(r)] == "" {
			t.Errorf("%s changes something, and no test looks for it in the trail", name(r))
		}
	}
}

// checkTrail looks at the latest entries of the trail.
func checkTrail(t *testing.T, s *apitest.Server, token, action, object string, ok bool) {
	t.Helper()
	trail := get[wire.AuditOut](t, s, token, "/api/v1/audit?limit=1")
	e := trail.Entries[0]
	if e.Action != action || e.OK != ok || object != "" && e.Object != object {
		t.Errorf("the trail's last entry is %+v, want %s %s ok=%v", e, action, object, ok)
	}
	if !ok && e.Detail == "" {
		t.Errorf("the trail does not say why %s failed", action)
	}
	if action != "enroll.ask" && (e.By != "uid:0" || e.Via != access.ViaToken) {
		t.Errorf("the trail says that %q by %q did %s", e.By, e.Via, action)
	}
	if !e.Addr.IsLoopback() && ok && strings.HasPrefix(action, "job") {
		t.Errorf("the trail says that it came from %v", e.Addr)
	}
}
