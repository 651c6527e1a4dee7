package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Enroll.Records["gone"] = enroll.Record{ID: "gone", State: enroll.Revoked}
	s.Enroll.Records["taken"] = enroll.Record{ID: "taken", State: enroll.Pending, Replaces: true}
	admin := s.Token(t, access.Admin)
	const get, post, put = http.MethodGet, http.MethodPost, http.MethodPut
	long := strings.Repeat("x", 70<<10)
	for _, c := range []struct {
		name               string
		method, path, body string
		status             int
		kind, says         string
	}{
		{"unknown parameter", get, "/peels?limt=1", "", 400, "invalid", `unknown parameter "limt"; did you mean "limit"?`},
		{"unknown parameter, nothing near", get, "/peels?zzzzzzzz=1", "", 400, "invalid", "known are: match, limit, after"},
		{"parameter where none is taken", get, "/whoami?x=1", "", 400, "invalid", "none is taken here"},
		{"parameter twice", get, "/peels?limit=1&limit=2", "", 400, "invalid", "given 2 times"},
		{"limit too high", get, "/peels?limit=1001", "", 400, "invalid", "a whole number from 1 to 1000"},
		{"limit zero", get, "/flows?limit=0", "", 400, "invalid", "a whole number from 1 to 1000"},
		{"port too high", get, "/flows?port=65536", "", 400, "invalid", "a whole number from 0 to 65535"},
		{"broken escape", get, "/peels?match=%zz", "", 400, "invalid", "percent-encoded"},
		{"no time", get, "/flows?from=yesterday", "", 400, "invalid", "RFC 3339 such as 2026-01-02T15:04:05Z"},
		{"empty range", get, "/flows?from=1h&to=2h", "", 400, "invalid", "from (2026-03-01T11:00:00Z) must lie before to (2026-03-01T10:00:00Z)"},
		{"no address", get, "/dns?addr=example.com", "", 400, "invalid", "give one such as 192.0.2.7"},
		{"bits below the prefix", get, "/dns?addr=192.0.2.7/24", "", 400, "invalid", "did you mean 192.0.2.0/24?"},
		{"zone", get, "/dns?addr=fe80::1%25eth0", "", 400, "invalid", "is not an address"},
		{"no protocol", get, "/flows?proto=sctpp", "", 400, "invalid", "tcp, udp, icmp, icmpv6 or a number"},
		{"no cursor", get, "/flows?before=abc", "", 400, "invalid", "is not a cursor"},
		{"no enum", get, "/enrollments?state=open", "", 400, "invalid", "pending, approved, suspended, rejected, revoked"},
		{"no tap name", get, "/tls?tap=a.b", "", 400, "invalid", "cannot be the name of a tap"},
		{"bucket too small", get, "/traffic?bucket=1s", "", 400, "invalid", "whole number of minutes"},
		{"too many points", get, "/traffic?from=360d&bucket=1m", "", 400, "invalid", "give a wider bucket"},
		{"value too long", get, "/tls?name=" + long[:600], "", 400, "invalid", "at most 512"},
		{"target too long", get, "/peels?match=" + long[:17000], "", 400, "invalid", "at most 16384"},
		{"no target", get, "/targets/test", "", 400, "invalid", `"target" is needed`},
		{"broken target", get, "/targets/test?target=a+and+(b", "", 400, "invalid", "column 7: this parenthesis is not closed"},
		{"settings", get, "/targets/test?target=I@a:b", "", 503, "unavailable", "settings are not kept here"},
		{"peel id", get, "/peels/a.b", "", 400, "invalid", "not a valid peel id"},
		{"job id", get, "/jobs/..%2f", "", 400, "invalid", "is not a job's id"},
		{"job id of events", get, "/jobs/%3E/events", "", 400, "invalid", "is not a job's id"},
		{"no such peel", get, "/peels/web-99", "", 404, "not_found", `there is no peel "web-99"`},
		{"no such job's events", get, "/jobs/01980c6e-0000-7000-8000-00000000ffff/events", "", 404, "not_found", "there is no job"},
		{"no since", get, "/events/list?since=soon", "", 400, "invalid", "is not a time"},
		{"no glob", get, "/events/list?glob=[", "", 400, "invalid", "is no glob"},
		{"latest with pages", get, "/events/list?latest=true&after=3", "", 400, "invalid", "have no pages"},
		{"no place", get, "/events/watch?after=-1", "", 400, "invalid", "is not a whole number"},
		{"no name of an event", post, "/events/send", `{"name":"job/done"}`, 400, "invalid", "is no name of an event"},
		{"no data of an event", post, "/events/send", `{"name":"a","data":{]}`, 400, "invalid", "not valid JSON"},
		{"target of the basket", get, "/basket?target=(a", "", 400, "invalid", "column 1"},
		{"no such route", get, "/pels", "", 404, "not_found", "openapi.json lists what is"},
		{"wrong method", put, "/peels", "{}", 405, "invalid", "but GET"},
		{"unknown field", post, "/jobs", `{"taget":"*"}`, 400, "invalid", `unknown field "taget"; did you mean "target"?`},
		{"field in other case", post, "/jobs", `{"Target":"*"}`, 400, "invalid", `did you mean "target"?`},
		{"field twice", post, "/jobs", `{"target":"*","target":"a"}`, 400, "invalid", "stands twice"},
		{"field of another type", post, "/jobs", `{"target":"*","function":"test.ping","args":"x"}`, 400, "invalid", `field "args": string is given where an array is wanted`},
		{"field of another type inside", post, "/jobs", `{"target":"*","function":"test.ping","args":[1]}`, 400, "invalid", "where a string is wanted"},
		{"no length of time", post, "/jobs", `{"target":"*","function":"test.ping","timeout":"soon"}`, 400, "invalid", "a number and a unit such as 90s"},
		{"missing field", post, "/jobs", `{"target":"*"}`, 400, "invalid", `field "function" is needed`},
		{"no body", post, "/jobs", "", 400, "invalid", `field "target" is needed`},
		{"null", post, "/jobs", `{"target":null,"function":"test.ping"}`, 400, "invalid", `field "target" is needed`},
		{"trailing garbage", post, "/jobs", `{"target":"*","function":"test.ping"}{}`, 400, "invalid", "something follows"},
		{"no object", post, "/jobs", `["*"]`, 400, "invalid", "must be a JSON object"},
		{"cut object", post, "/jobs", `{"target":"*"`, 400, "invalid", "not valid JSON near byte"},
		{"body not taken", post, "/enrollments/gone/reject", `{"x":1}`, 400, "invalid", "takes no body"},
		{"body too large", post, "/jobs", `{"target":"` + long + `"}`, 413, "too_large", "limit of 65536 bytes"},
		{"enrollment body too large", post, "/enroll/begin", `{"token":"` + long[:17<<10] + `"}`, 413, "too_large", "limit of 16384 bytes"},
		{"conflict", post, "/enrollments/taken/approve", "", 409, "conflict", "--replace"},
		{"gone", post, "/enrollments/gone/approve", "", 410, "gone", "was revoked"},
		{"uid of root", put, "/users/anna/uid", `{"uid":0}`, 400, "invalid", "cannot be bound"},
		{"missing number", put, "/users/anna/uid", `{}`, 400, "invalid", `field "uid" is needed`},
		{"name in the body", put, "/users/anna/uid", `{"name":"bob","uid":7}`, 400, "invalid", "unknown field"},
		{"bad role", post, "/users", `{"name":"anna","password":"correct horse battery","role":"root"}`, 400, "invalid", "use viewer, operator or admin"},
		{"wrong password", post, "/login", `{"name":"anna","password":"x"}`, 401, "unauthorized", "wrong name or password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res, body := do(t, s, request{method: c.method, path: "/api/v1" + c.path, token: admin, body: c.body})
			e := refusal(t, body)
			if res.StatusCode != c.status || e.Kind != c.kind || !strings.Contains(e.Message, c.says) {
				t.Errorf("got %d %s %q, want %d %s …%q…", res.StatusCode, e.Kind, e.Message, c.status, c.kind, c.says)
			}
			if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
				t.Errorf("Content-Type is %q", kind)
			}
		})
	}
}

func TestMethodsAreNamed(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	res, _ := do(t, s, request{method: http.MethodDelete, path: "/api/v1/jobs"})
	if allow := res.Header.Get("Allow"); res.StatusCode != http.StatusMethodNotAllowed || allow != "GET, POST" {
		t.Errorf("got %d, Allow %q", res.StatusCode, allow)
	}
}

func TestBodyMustBeJSON(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	res, body := do(t, s, request{
		method: http.MethodPost, path: "/api/v1/jobs", token: s.Token(t, access.Operator), body: "target=*",
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	})
	if e := refusal(t, body); res.StatusCode != http.StatusBadRequest || !strings.Contains(e.Message, "Content-Type: application/json") {
		t.Errorf("got %d %q", res.StatusCode, e.Message)
	}
}

func TestInternalErrorsDoNotLeak(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"plain":      errors.New("dial tcp 10.0.0.1:4222: secret=hunter2"),
		"of a kind":  errs.New(errs.Internal, "secret=hunter2"),
		"wrapped up": errors.Join(errors.New("secret=hunter2"), context.Canceled),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.Start(t, nil)
			s.Fleet.Fail(err)
			res, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/peels", token: s.Token(t, access.Viewer)})
			e := refusal(t, body)
			if res.StatusCode != http.StatusInternalServerError || e.Kind != "internal" || strings.Contains(body, "hunter2") {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			log := s.Log.String()
			if e.RequestID == "" || !strings.Contains(log, e.RequestID) || !strings.Contains(log, "hunter2") {
				t.Errorf("request %q is not in the log with its error:\n%s", e.RequestID, log)
			}
		})
	}
}

func TestOuterTextDoesNotLeak(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Fail(errors.Join(errors.New("SELECT secret"), errs.New(errs.Unavailable, "the bus is not there just now")))
	res, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/peels", token: s.Token(t, access.Viewer)})
	if e := refusal(t, body); res.StatusCode != http.StatusServiceUnavailable || e.Message != "the bus is not there just now" {
		t.Errorf("got %d %q", res.StatusCode, e.Message)
	}
}

func TestTimeOutIsUnavailable(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Fail(context.DeadlineExceeded)
	res, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/jobs", token: s.Token(t, access.Viewer)})
	if e := refusal(t, body); res.StatusCode != http.StatusServiceUnavailable || e.Kind != "unavailable" {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

func TestLoginIsLimited(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	for range 100 {
		res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/login", body: `{"name":"anna","password":"wrong"}`})
		if res.StatusCode == http.StatusTooManyRequests {
			if e := refusal(t, body); e.Kind != "rate_limited" || res.Header.Get("Retry-After") == "" {
				t.Errorf("got %s, Retry-After %q", body, res.Header.Get("Retry-After"))
			}
			return
		}
	}
	t.Error("100 wrong logins were not limited")
}

// TestRolesThatAreOff asks every route of a server without services.
func TestRolesThatAreOff(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, func(d *api.Deps) {
		d.Fleet, d.Enroll, d.Network, d.Taps, d.Reports, d.Cluster = nil, nil, nil, nil, nil, nil
		d.Basket, d.Events, d.Members = nil, nil, nil
	})
	admin := s.Token(t, access.Admin)
	for path, body := range map[string]string{
		"GET /peels": "", "GET /peels/a": "", "GET /jobs": "", "GET /jobs/" + jid: "", "GET /jobs/" + jid + "/events": "",
		"POST /jobs":                  `{"target":"*","function":"test.ping"}`,
		"GET /basket":                 "",
		"GET /basket/addr":            "",
		"GET /events/list":            "",
		"GET /events/watch":           "",
		"POST /events/send":           `{"name":"a"}`,
		"GET /enrollments":            "",
		"GET /enrollments/a":          "",
		"POST /enroll-tokens":         "",
		"POST /enroll/begin":          `{"id":"a"}`,
		"POST /servers/tokens":        "",
		"POST /servers/join":          `{"token":"x"}`,
		"GET /flows":                  "",
		"GET /dns":                    "",
		"GET /tls":                    "",
		"GET /traffic":                "",
		"GET /top-talkers":            "",
		"GET /taps":                   "",
		"POST /taps":                  `{"name":"a"}`,
		"DELETE /taps/a":              "",
		"POST /reports":               "",
		"GET /cluster":                "",
		"GET /cluster/tasks":          "",
		"POST /cluster/tasks/a/retry": "",
		"POST /nodes/a/drain":         "",
		"POST /nodes/a/undrain":       "",
		"POST /taps/a/rotate":         "",
		"PUT /taps/a/tenant":          `{"tenant":"acme"}`,
		"POST /enrollments/a/revoke":  "",
	} {
		method, path, _ := strings.Cut(path, " ")
		res, answer := do(t, s, request{method: method, path: "/api/v1" + path, token: admin, body: body})
		if e := refusal(t, answer); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(e.Message, "roles include") {
			t.Errorf("%s %s: got %d %s", method, path, res.StatusCode, answer)
		}
	}
	res, answer := do(t, s, request{method: http.MethodGet, path: "/api/v1/overview", token: admin})
	if res.StatusCode != http.StatusOK || strings.Contains(answer, "fleet") {
		t.Errorf("overview of a server without roles: %d %s", res.StatusCode, answer)
	}
}

const jid = "01980c6e-0000-7000-8000-000000000001"

func peel(id fleet.PeelID) fleet.Peel { return fleet.Peel{ID: id, Presence: fleet.Connected} }
