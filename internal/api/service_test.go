package api_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

func TestPagesOfPeels(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	for i := range 5 {
		s.Fleet.Add(peel(fleet.PeelID(fmt.Sprintf("web-%d", i))), nil)
	}
	s.Fleet.Add(peel("db-1"), nil)
	viewer := s.Token(t, access.Viewer)
	var got []string
	pages, next := 0, ""
	for {
		page := get[wire.PeelsOut](t, s, viewer, "/api/v1/peels?match=web-*&limit=2&after="+next)
		for _, p := range page.Peels {
			got = append(got, string(p.ID))
		}
		pages++
		if next = page.Next; next == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"web-0", "web-1", "web-2", "web-3", "web-4"}, got); diff != "" || pages != 3 {
		t.Errorf("%d pages: %s", pages, diff)
	}
	if _, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/peels?match=none*", token: viewer}); body != "{\"peels\":[]}\n" {
		t.Errorf("an empty list is %q", body)
	}
}

func TestPagesOfTaps(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	viewer := s.Token(t, access.Viewer)
	if _, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/taps", token: viewer}); body != "{\"taps\":[]}\n" {
		t.Errorf("an empty list is %q", body)
	}
	for i := range 6 {
		s.Taps.All = append(s.Taps.All, ingest.TapInfo{Name: network.TapID(fmt.Sprintf("tap-%d", i)), Tenant: []string{"default", "acme"}[i%2]})
	}
	var got []string
	pages, next := 0, ""
	for {
		page := get[wire.TapsOut](t, s, viewer, "/api/v1/taps?limit=2&after="+next)
		for _, p := range page.Taps {
			got = append(got, string(p.Name))
		}
		pages++
		if next = page.Next; next == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"tap-0", "tap-1", "tap-2", "tap-3", "tap-4", "tap-5"}, got); diff != "" || pages != 3 {
		t.Errorf("%d pages: %s", pages, diff)
	}
	if page := get[wire.TapsOut](t, s, viewer, "/api/v1/taps?tenant=acme&limit=2"); len(page.Taps) != 2 || page.Taps[1].Name != "tap-3" || page.Next != "tap-3" {
		t.Errorf("the taps of a tenant are %+v", page)
	}
	for _, bad := range []string{"limit=0", "limit=1001", "after=A.B", "tenant=A.B"} {
		if res, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/taps?" + bad, token: viewer}); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, res.StatusCode, body)
		}
	}
}

func TestPagesOfFlows(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	const big = int64(1)<<62 + 1 // no float64 is this number
	for i := range 5 {
		s.Network.FlowRows = append(s.Network.FlowRows, store.Flow{ID: big - int64(i), Flow: network.Flow{Start: apitest.Now.Add(-time.Duration(i) * time.Minute)}})
	}
	viewer := s.Token(t, access.Viewer)
	if _, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/flows?limit=1", token: viewer}); !strings.Contains(body, `"id":"4611686018427387905"`) {
		t.Errorf("a large id is no string: %s", body)
	}
	var got []int64
	next := ""
	for {
		page := get[wire.FlowsOut](t, s, viewer, "/api/v1/flows?limit=2"+next)
		for _, f := range page.Flows {
			got = append(got, f.ID)
		}
		if page.Next == nil {
			break
		}
		text, _ := page.Next.MarshalText()
		next = "&before=" + string(text)
	}
	if diff := cmp.Diff([]int64{big, big - 1, big - 2, big - 3, big - 4}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPagesOfEnrollments(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	for _, id := range []fleet.PeelID{"a", "b", "c"} {
		s.Enroll.Records[id] = enroll.Record{ID: id, State: enroll.Pending}
	}
	viewer := s.Token(t, access.Viewer)
	first := get[wire.EnrollmentsOut](t, s, viewer, "/api/v1/enrollments?limit=2&state=pending")
	second := get[wire.EnrollmentsOut](t, s, viewer, "/api/v1/enrollments?limit=2&after="+first.Next)
	if len(first.Enrollments) != 2 || first.Next != "b" || len(second.Enrollments) != 1 || second.Enrollments[0].ID != "c" || second.Next != "" {
		t.Errorf("pages are %+v and %+v", first, second)
	}
}

func TestQueriesOfTelemetry(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	viewer := s.Token(t, access.Viewer)
	get[wire.FlowsOut](t, s, viewer, "/api/v1/flows?from=2026-03-01T10:00:00%2B01:00&to=15m&addr=2001:db8::/32&port=443&proto=tcp&app=tls&tap=office&limit=7")
	want := store.FlowQuery{
		From: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), To: apitest.Now.Add(-15 * time.Minute),
		Addr: netip.MustParsePrefix("2001:db8::/32"), Port: 443, Proto: network.TCP, App: "tls", Tap: "office", Limit: 7,
	}
	same := cmp.Options{cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, s.Network.FlowQuery, same); diff != "" {
		t.Error(diff)
	}
	get[wire.DNSOut](t, s, viewer, "/api/v1/dns?addr=::ffff:192.0.2.7&name=*.example.com&type=28&via=mdns&domain=example.com")
	dns := store.DNSQuery{
		From: apitest.Now.Add(-time.Hour), To: apitest.Now, Addr: netip.MustParsePrefix("192.0.2.7/32"),
		Name: "*.example.com", Type: 28, Via: "mdns", Domain: "example.com", Limit: 100,
	}
	if diff := cmp.Diff(dns, s.Network.DNSQuery, same); diff != "" {
		t.Error(diff)
	}
	get[wire.TLSOut](t, s, viewer, "/api/v1/tls?from=1d&name=a.example")
	if q := s.Network.TLSQuery; q.Name != "a.example" || !q.From.Equal(apitest.Now.Add(-24*time.Hour)) {
		t.Errorf("the query is %+v", q)
	}
}

func TestJoinCommands(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	admin := s.Token(t, access.Admin)
	var token wire.EnrollTokenOut
	_, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/enroll-tokens", token: admin, body: `{"ttl":"15m","auto_approve":true}`})
	decode(t, body, &token)
	want := wire.EnrollTokenOut{
		ID: "t1", Token: "the-secret", Expires: apitest.Now.Add(15 * time.Minute),
		Join: "rind-peel enroll --server https://rind.example.net:8443 --pin " + apitest.Pin + " --token the-secret",
	}
	if diff := cmp.Diff(want, token); diff != "" {
		t.Error(diff)
	}
	asked := []registrar.TokenRequest{{TTL: 15 * time.Minute, AutoApprove: true, By: "uid:0"}}
	if diff := cmp.Diff(asked, s.Enroll.Requests); diff != "" {
		t.Error(diff)
	}
	var tap wire.TapOut
	_, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/taps", token: admin, body: `{"name":"office"}`})
	decode(t, body, &tap)
	if want := "rind-tap join --server https://rind.example.net:8443 --pin " + apitest.Pin + " --token rindtap_office_secret"; tap.Join != want {
		t.Errorf("join is %q, want %q", tap.Join, want)
	}
}

func TestExchangesOfHosts(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/enroll/begin", body: `{"token":"the-secret","id":"web-01","public_key":"U1","time":"2026-03-01T12:00:00Z"}`})
	var begun enroll.BeginResponse
	decode(t, body, &begun)
	if res.StatusCode != http.StatusOK || begun.Challenge != "c1" || string(begun.Nonce) != "nonce" || s.Enroll.Begun[0].PublicKey != "U1" {
		t.Errorf("begin: %d %s", res.StatusCode, body)
	}
	if res, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/enroll/begin", body: `{"token":"x"}`}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("begin with a wrong token: %d %s", res.StatusCode, body)
	}
	if res, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/enroll/poll", body: `{"id":"web-01"}`}); res.StatusCode != http.StatusOK || !strings.Contains(body, `"pending"`) {
		t.Errorf("poll: %d %s", res.StatusCode, body)
	}
	if res, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/enroll/renew", body: `{"id":"web-01"}`}); res.StatusCode != http.StatusForbidden {
		t.Errorf("renew: %d %s", res.StatusCode, body)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(peel("web-01"), func(r fleet.JobRequest) *fleet.Return { return apitest.OK([]any{r.Args, r.Timeout.String(), r.By}) })
	operator := s.Token(t, access.Operator)
	res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/jobs", token: operator, body: `{"target":"web-*","function":"cmd.run","args":["ls -l","x"],"timeout":"1m30s"}`})
	var job fleet.Job
	decode(t, body, &job)
	if res.StatusCode != http.StatusOK || job.Summary.Targeted != 1 {
		t.Fatalf("POST /jobs: %d %s", res.StatusCode, body)
	}
	shown := get[wire.JobOut](t, s, operator, "/api/v1/jobs/"+job.JID)
	if v := string(shown.Returns[0].Value); v != `[["ls -l","x"],"1m30s","uid:0"]` {
		t.Errorf("the peel was asked %s", v)
	}
	if list := get[wire.JobsOut](t, s, operator, "/api/v1/jobs"); len(list.Jobs) != 1 || list.Jobs[0].JID != job.JID {
		t.Errorf("jobs are %+v", list)
	}
}

func TestOverview(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(fleet.Peel{ID: "a", Presence: fleet.Connected}, nil)
	s.Fleet.Add(fleet.Peel{ID: "b", Presence: fleet.Away}, nil)
	s.Fleet.Add(fleet.Peel{ID: "c", Presence: fleet.Never}, nil)
	s.Enroll.Records["d"] = enroll.Record{ID: "d", State: enroll.Pending}
	recent, old := apitest.Now.Add(-10*time.Second), apitest.Now.Add(-time.Hour)
	s.Taps.All = []ingest.TapInfo{
		{Name: "x", LastReport: &recent, Loss: store.Loss{Received: 10, DroppedKernel: 1, DroppedPipeline: 2}},
		{Name: "y", LastReport: &old}, {Name: "z", Revoked: &old, LastReport: &recent},
	}
	s.Network.Points = []store.TrafficPoint{{Bytes: 3, Flows: 1}, {Bytes: 4, Flows: 2}}
	got := get[wire.OverviewOut](t, s, s.Token(t, access.Viewer), "/api/v1/overview")
	want := wire.OverviewOut{
		Time:    apitest.Now,
		Fleet:   &wire.FleetOverview{Peels: 3, Connected: 1, Away: 1, Never: 1, Pending: 1},
		Network: &wire.TapsOverview{Taps: 2, Reporting: 1, Received: 10, Dropped: 3, Bytes: 7, Flows: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTrafficChoosesItsBuckets(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	viewer := s.Token(t, access.Viewer)
	for query, want := range map[string]time.Duration{
		"": time.Minute, "?from=15m": time.Minute, "?from=1d": 24 * time.Minute, "?from=30d&bucket=1h": time.Hour,
	} {
		if got := get[wire.TrafficOut](t, s, viewer, "/api/v1/traffic"+query); time.Duration(got.Bucket) != want {
			t.Errorf("%q gives buckets of %s, want %s", query, time.Duration(got.Bucket), want)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	operator := s.Token(t, access.Operator)
	res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/tokens", token: operator, body: `{"name":"up","role":"admin"}`})
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("an operator made an administrator's token: %d %s", res.StatusCode, body)
	}
	_, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/tokens", token: operator, body: `{"name":"mine","ttl":"10m"}`})
	var made wire.TokenOut
	decode(t, body, &made)
	me := get[access.Principal](t, s, made.Token, "/api/v1/whoami")
	if me.Role != access.Operator || me.Via != access.ViaToken || !me.Expires.Equal(apitest.Now.Add(10*time.Minute)) {
		t.Errorf("the new token is %+v", me)
	}
	list := get[wire.TokensOut](t, s, operator, "/api/v1/tokens")
	if len(list.Tokens) != 2 || strings.Contains(fmt.Sprint(list), made.Token) {
		t.Errorf("tokens are %+v", list)
	}
	res, body = do(t, s, request{method: http.MethodDelete, path: "/api/v1/tokens/" + me.TokenID, token: operator})
	if res.StatusCode != http.StatusNoContent || body != "" {
		t.Errorf("revoking: %d %q", res.StatusCode, body)
	}
	if res, _ = do(t, s, request{method: http.MethodGet, path: "/api/v1/whoami", token: made.Token}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", res.StatusCode)
	}
	if res, _ = do(t, s, request{method: http.MethodDelete, path: "/api/v1/tokens/" + me.TokenID, token: operator}); res.StatusCode != http.StatusNotFound {
		t.Errorf("revoking twice: %d", res.StatusCode)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	password, err := s.Access.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/login", body: `{"name":"admin","password":"` + password + `"}`})
	var p access.Principal
	decode(t, body, &p)
	cookie := res.Cookies()[0]
	if p.Role != access.Admin || cookie.Name != access.CookieName || !cookie.Secure || !cookie.HttpOnly {
		t.Fatalf("login: %+v, cookie %+v", p, cookie)
	}
	session := map[string]string{"Cookie": cookie.Name + "=" + cookie.Value}
	if res, body = do(t, s, request{method: http.MethodGet, path: "/api/v1/whoami", header: session}); res.StatusCode != http.StatusOK || !strings.Contains(body, `"session"`) {
		t.Errorf("whoami: %d %s", res.StatusCode, body)
	}
	foreign := map[string]string{"Cookie": session["Cookie"], "Sec-Fetch-Site": "cross-site"}
	if res, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/logout", header: foreign}); res.StatusCode != http.StatusForbidden {
		t.Errorf("logout from another site: %d %s", res.StatusCode, body)
	}
	if res, body = do(t, s, request{method: http.MethodPost, path: "/api/v1/logout", header: session}); res.StatusCode != http.StatusNoContent || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout: %d %s", res.StatusCode, body)
	}
	if res, _ = do(t, s, request{method: http.MethodGet, path: "/api/v1/whoami", header: session}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("whoami after logout: %d", res.StatusCode)
	}
}

// TestFirstLogin asks everything with a one-time password, then changes it.
func TestFirstLogin(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	password, err := s.Access.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	login := func(password string) (access.Principal, map[string]string) {
		res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/login", body: `{"name":"admin","password":"` + password + `"}`})
		var p access.Principal
		decode(t, body, &p)
		return p, map[string]string{"Cookie": access.CookieName + "=" + res.Cookies()[0].Value}
	}
	p, session := login(password)
	if !p.MustChange {
		t.Errorf("the login says %+v", p)
	}
	open := map[string]bool{"GET /api/v1/whoami": true, "POST /api/v1/password": true}
	for _, route := range s.API.Routes() {
		if route.Need <= access.TapToken {
			continue
		}
		path := parameter.ReplaceAllString(route.Pattern, "x")
		res, body := do(t, s, request{method: route.Method, path: path, header: session, body: `{}`})
		told := res.StatusCode == http.StatusForbidden && strings.Contains(body, `"kind":"forbidden","message":"change your password first: open /account, or POST /api/v1/password"`)
		if name := route.Method + " " + route.Pattern; told == open[name] {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	if _, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/whoami", header: session}); !strings.Contains(body, `"must_change":true`) {
		t.Errorf("whoami: %s", body)
	}
	res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/password", header: session, body: `{"old":"` + password + `","new":"correct horse battery"}`})
	if res.StatusCode != http.StatusNoContent {
		t.Fatalf("changing it: %d %s", res.StatusCode, body)
	}
	if res, _ := do(t, s, request{method: http.MethodGet, path: "/api/v1/whoami", header: session}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session of before: %d", res.StatusCode)
	}
	p, session = login("correct horse battery")
	if res, body := do(t, s, request{method: http.MethodPost, path: "/api/v1/tokens", header: session, body: `{"name":"mine"}`}); p.MustChange || res.StatusCode != http.StatusOK {
		t.Errorf("after the change: %+v, %d %s", p, res.StatusCode, body)
	}
}

func TestOwnPassword(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	password, err := s.Access.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, _ := do(t, s, request{method: http.MethodPost, path: "/api/v1/login", body: `{"name":"admin","password":"` + password + `"}`})
	session := map[string]string{"Cookie": access.CookieName + "=" + res.Cookies()[0].Value}
	change := func(old string) int {
		res, _ := do(t, s, request{method: http.MethodPost, path: "/api/v1/password", header: session, body: `{"old":"` + old + `","new":"correct horse battery"}`})
		return res.StatusCode
	}
	if wrong, right := change("x"), change(password); wrong != http.StatusForbidden || right != http.StatusNoContent {
		t.Errorf("with a wrong old password %d, with the right one %d", wrong, right)
	}
	trail, err := s.Access.AuditList(t.Context(), 2, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []access.Entry{
		{By: "admin", Via: "session", Action: "user.password", Object: "admin", OK: true},
		{By: "admin", Via: "session", Action: "user.password", Detail: "the old password is wrong"},
	}
	if diff := cmp.Diff(want, trail, cmpopts.IgnoreFields(access.Entry{}, "ID", "At", "Addr")); diff != "" {
		t.Error(diff)
	}
}
