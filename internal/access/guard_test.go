package access_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// answerWho tells who the handler thinks is asking.
var answerWho = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p, ok := access.PrincipalFrom(r.Context())
	if !ok {
		_, _ = io.WriteString(w, "nobody")
		return
	}
	_, _ = io.WriteString(w, p.Name+" "+p.Role.String()+" "+p.Via)
})

// routes has one route for each need, for reading and for writing, in the API
// and among the pages, and one that is open to one-time passwords.
func routes() []access.Route {
	var all []access.Route
	for _, prefix := range []string{"/api/", "/"} {
		for path, need := range map[string]access.Need{
			"public": access.Public, "tap": access.TapToken, "view": access.NeedViewer, "operate": access.NeedOperator, "admin": access.NeedAdmin,
		} {
			for _, method := range []string{"GET", "POST"} {
				all = append(all, access.Route{Method: method, Pattern: prefix + path, Need: need, Handler: answerWho})
			}
		}
		for _, method := range []string{"GET", "POST"} {
			all = append(all, access.Route{Method: method, Pattern: prefix + "first", Need: access.NeedViewer, FirstLogin: true, Handler: answerWho})
		}
	}
	return all
}

// site is a guarded server in memory, with a caller of each kind.
type site struct {
	*fixture
	handler http.Handler
	callers map[string]func(*http.Request) // sets what the caller sends
}

func newSite(t *testing.T, db *database.DB, opts access.GuardOptions) *site {
	t.Helper()
	f := newFixture(db)
	f.people(t)
	mux := http.NewServeMux()
	access.NewGuard(f.Service, opts).Mount(mux, routes())
	s := &site{fixture: f, handler: mux, callers: map[string]func(*http.Request){"nobody": func(*http.Request) {}}}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	s.callers["tap"] = bearer("rindtap_abc_def")
	for name, role := range map[string]access.Role{"ada": access.Admin, "olga": access.Operator, "vera": access.Viewer} {
		secret, p := f.login(t, name)
		s.callers[name+" by session"] = func(r *http.Request) { r.AddCookie(&http.Cookie{Name: access.CookieName, Value: secret}) }
		token, err := f.CreateToken(t.Context(), p, "x", role, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		s.callers[name+" by token"] = bearer(token)
	}
	return s
}

// ask sends one request and returns the answer.
func (s *site) ask(method, path, caller string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, "https://rind.example.org:8443"+path, strings.NewReader("{}"))
	s.callers[caller](r)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestMatrix asks every route as every caller.
func TestMatrix(t *testing.T) {
	t.Parallel()
	want := map[string]map[string]int{
		"public":  {"nobody": 200, "tap": 200, "vera": 200, "olga": 200, "ada": 200},
		"tap":     {"nobody": 401, "tap": 200, "vera by session": 401, "olga by session": 401, "ada by session": 401, "vera by token": 200, "olga by token": 200, "ada by token": 200},
		"view":    {"nobody": 401, "tap": 401, "vera": 200, "olga": 200, "ada": 200},
		"operate": {"nobody": 401, "tap": 401, "vera": 403, "olga": 200, "ada": 200},
		"admin":   {"nobody": 401, "tap": 401, "vera": 403, "olga": 403, "ada": 200},
	}
	databasetest.Each(t, access.Migrations(), func(t *testing.T, db *database.DB) {
		s := newSite(t, db, access.GuardOptions{})
		for path, expected := range want {
			for caller := range s.callers {
				status, ok := expected[caller]
				if name, _, isUser := strings.Cut(caller, " by "); !ok && isUser {
					status, ok = expected[name]
				}
				if !ok {
					t.Fatalf("no answer is expected for %s as %s", path, caller)
				}
				for _, method := range []string{"GET", "HEAD", "POST"} {
					for _, prefix := range []string{"/api/", "/"} {
						got := s.ask(method, prefix+path, caller)
						if got.StatusCode != status {
							t.Errorf("%s %s%s as %s: %d, want %d", method, prefix, path, caller, got.StatusCode, status)
						}
						checkAnswer(t, got, method, prefix+path, caller)
					}
				}
			}
		}
		if n := s.count(t, "rind_access_refused_total", "unauthenticated"); n == 0 {
			t.Error("no refusal is counted")
		}
	})
}

// checkAnswer checks who was let in, or that a refusal says what to do.
func checkAnswer(t *testing.T, r *http.Response, method, path, caller string) {
	t.Helper()
	text := body(t, r)
	if r.StatusCode == 200 {
		name, via, isUser := strings.Cut(caller, " by ")
		if isUser && method != "HEAD" && !strings.HasSuffix(path, "/tap") && (!strings.HasPrefix(text, name+" ") || !strings.HasSuffix(text, " "+via)) {
			t.Errorf("%s %s as %s was served as %q", method, path, caller, text)
		}
		return
	}
	if r.Header.Get("Cache-Control") != "no-store" && strings.HasPrefix(path, "/api/") {
		t.Errorf("%s %s: the refusal may be cached", method, path)
	}
	if method == "HEAD" || !strings.HasPrefix(path, "/api/") {
		return
	}
	var answer struct {
		Error struct{ Kind, Message string }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%s %s: %v in %q", method, path, err, text)
	}
	kind := map[int]string{401: "unauthorized", 403: "forbidden"}[r.StatusCode]
	helps := strings.Contains(answer.Error.Message, "rind ") || strings.Contains(answer.Error.Message, "ask an administrator")
	if answer.Error.Kind != kind || !helps {
		t.Errorf("%s %s as %s: the refusal %q does not say what to do", method, path, caller, text)
	}
}

// TestCrossSite sends what a page of another site can make a browser send.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.Open(t, database.SQLite, access.Migrations()), access.GuardOptions{TrustedOrigins: []string{"https://portal.example.org"}})
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, tc := range map[string]struct {
		method, path, caller string
		set                  func(*http.Request)
		want                 int
	}{
		"another site":               {"POST", "/api/operate", "olga by session", header("Sec-Fetch-Site", "cross-site"), 403},
		"another host of the site":   {"POST", "/api/operate", "olga by session", header("Sec-Fetch-Site", "same-site"), 403},
		"another origin, old":        {"POST", "/operate", "olga by session", header("Origin", "https://evil.example"), 403},
		"a sandboxed page":           {"POST", "/operate", "olga by session", header("Origin", "null"), 403},
		"the login of another":       {"POST", "/public", "nobody", header("Sec-Fetch-Site", "cross-site"), 403},
		"our page":                   {"POST", "/api/operate", "olga by session", header("Sec-Fetch-Site", "same-origin"), 200},
		"our page, old":              {"POST", "/api/operate", "olga by session", header("Origin", "https://rind.example.org:8443"), 200},
		"typed by a person":          {"POST", "/api/operate", "olga by session", header("Sec-Fetch-Site", "none"), 200},
		"a trusted origin":           {"POST", "/api/operate", "olga by session", header("Origin", "https://portal.example.org"), 200},
		"no browser":                 {"POST", "/api/operate", "olga by session", func(*http.Request) {}, 200},
		"a link from another site":   {"GET", "/view", "olga by session", header("Sec-Fetch-Site", "cross-site"), 200},
		"a token from anywhere":      {"POST", "/api/operate", "olga by token", header("Sec-Fetch-Site", "cross-site"), 200},
		"a bad token and the cookie": {"POST", "/api/operate", "olga by session", header("Authorization", "Bearer x"), 401},
		"another scheme, the cookie": {"GET", "/api/operate", "olga by session", header("Authorization", "Basic x"), 200},
		"another scheme, elsewhere": {"POST", "/api/operate", "olga by session", func(r *http.Request) {
			r.Header.Set("Authorization", "Basic x")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, 403},
	} {
		if got := s.ask(tc.method, tc.path, tc.caller, tc.set); got.StatusCode != tc.want {
			t.Errorf("%s: %d %q, want %d", name, got.StatusCode, body(t, got), tc.want)
		}
	}
	if n := s.count(t, "rind_access_refused_total", "cross_origin"); n != 6 {
		t.Errorf("%v refusals are counted, want 6", n)
	}
}

// TestExpired asks with what was valid once.
func TestExpired(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.Open(t, database.SQLite, access.Migrations()), access.GuardOptions{})
	s.clock.add(time.Hour)
	if got := s.ask("GET", "/api/view", "vera by token"); got.StatusCode != 401 || !strings.Contains(body(t, got), "expired") {
		t.Errorf("an expired token: %d", got.StatusCode)
	}
	s.clock.add(time.Hour)
	if got := s.ask("GET", "/api/view", "vera by session"); got.StatusCode != 401 {
		t.Errorf("an idle session: %d", got.StatusCode)
	}
	if got := s.ask("GET", "/public", "vera by session"); got.StatusCode != 200 || body(t, got) != "nobody" {
		t.Errorf("an idle session at a public route: %d", got.StatusCode)
	}
}

// TestStreamEnds checks that a handler's context ends with the session.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(databasetest.Open(t, database.SQLite, access.Migrations()))
	f.people(t)
	secret, p := f.login(t, "vera")
	f.clock.add(time.Hour) // in use
	if _, err := f.Session(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for f.clock.now().Before(p.Expires.Add(-time.Hour)) {
		f.clock.add(time.Hour)
		if _, err := f.Session(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	f.clock.add(p.Expires.Sub(f.clock.now()) - 50*time.Millisecond)
	mux := http.NewServeMux()
	access.NewGuard(f.Service, access.GuardOptions{}).Mount(mux, []access.Route{{Method: "GET", Pattern: "/events", Need: access.NeedViewer,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				_, _ = io.WriteString(w, "ended")
			case <-time.After(20 * time.Second):
			}
		})}})
	r := httptest.NewRequest("GET", "/events", nil)
	r.AddCookie(f.Cookie(secret))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if w.Body.String() != "ended" {
		t.Errorf("the stream outlived its session: %d %q", w.Code, w.Body)
	}
}

// TestToLogin checks how a browser without a session learns where to go.
func TestToLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.Open(t, database.SQLite, access.Migrations()), access.GuardOptions{LoginPath: "/login"})
	for name, tc := range map[string]struct {
		method, path, header, value string
		status                      int
		location, redirect          string
	}{
		"a page":   {"GET", "/view?a=1&b=2", "Accept", "text/html", 303, "/login?next=%2Fview%3Fa%3D1%26b%3D2", ""},
		"a form":   {"POST", "/view", "Accept", "text/html", 303, "/login", ""},
		"htmx":     {"GET", "/view", "HX-Request", "true", 401, "", "/login"},
		"events":   {"GET", "/view", "Accept", "text/event-stream", 401, "", ""},
		"scrape":   {"GET", "/view", "Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", 401, "", ""},
		"bearer":   {"GET", "/view", "Authorization", "Bearer rind_no_such", 401, "", ""},
		"the API":  {"GET", "/api/view", "Accept", "text/html", 401, "", ""},
		"a script": {"GET", "/view", "Accept", "*/*", 303, "/login?next=%2Fview", ""},
	} {
		got := s.ask(tc.method, tc.path, "nobody", func(r *http.Request) { r.Header.Set(tc.header, tc.value) })
		if got.StatusCode != tc.status || got.Header.Get("Location") != tc.location || got.Header.Get("HX-Redirect") != tc.redirect {
			t.Errorf("%s: %d %q %q, want %d %q %q", name, got.StatusCode, got.Header.Get("Location"), got.Header.Get("HX-Redirect"), tc.status, tc.location, tc.redirect)
		}
	}
}

// TestDatabaseDown checks that nobody is let in, and nothing told, when the
// database is away, and that public routes are served.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, access.Migrations())
	s := newSite(t, db, access.GuardOptions{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, caller := range []string{"ada by session", "ada by token"} {
		got := s.ask("GET", "/api/view", caller)
		if text := body(t, got); got.StatusCode != 500 || strings.Contains(text, "closed") || !strings.Contains(text, "its log says why") {
			t.Errorf("%s: %d %q", caller, got.StatusCode, text)
		}
		if got := s.ask("GET", "/public", caller); got.StatusCode != 200 || body(t, got) != "nobody" {
			t.Errorf("%s at a public route: %d", caller, got.StatusCode)
		}
	}
}

func TestMountRefuses(t *testing.T) {
	t.Parallel()
	guard := access.NewGuard(newFixture(nil).Service, access.GuardOptions{})
	for name, route := range map[string]access.Route{
		"no need":    {Method: "GET", Pattern: "/x", Handler: answerWho},
		"another":    {Method: "GET", Pattern: "/x", Need: access.NeedAdmin + 1, Handler: answerWho},
		"below":      {Method: "GET", Pattern: "/x", Need: -1, Handler: answerWho},
		"no method":  {Pattern: "/x", Need: access.Public, Handler: answerWho},
		"no path":    {Method: "GET", Need: access.Public, Handler: answerWho},
		"no handler": {Method: "GET", Pattern: "/x", Need: access.Public},
		"host in it": {Method: "GET", Pattern: "x/", Need: access.Public, Handler: answerWho},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the route was mounted", name)
				}
			}()
			guard.Mount(http.NewServeMux(), []access.Route{route})
		}()
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(databasetest.Open(t, database.SQLite, access.Migrations()))
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			access.WriteError(w, err)
		}
	})
	mux := http.NewServeMux()
	access.NewGuard(f.Service, access.GuardOptions{}).Mount(mux, []access.Route{
		{Method: "POST", Pattern: "/default", Need: access.Public, Handler: read},
		{Method: "POST", Pattern: "/small", Need: access.Public, Handler: read, MaxBody: 10},
	})
	for _, tc := range []struct {
		path string
		size int
		want int
	}{{"/default", 1 << 20, 200}, {"/default", 1<<20 + 1, 413}, {"/small", 10, 200}, {"/small", 11, 413}} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("POST", tc.path, strings.NewReader(strings.Repeat("x", tc.size))))
		if w.Code != tc.want {
			t.Errorf("%d bytes to %s: %d, want %d", tc.size, tc.path, w.Code, tc.want)
		}
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	f := newFixture(nil)
	got := f.Cookie("secret").String()
	if want := "__Host-rind_session=secret; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := f.GoneCookie().String(); !strings.Contains(got, "Max-Age=0") || !strings.Contains(got, "Secure") {
		t.Errorf("the end of the cookie is %s", got)
	}
}

// TestUnixSocket connects to a real socket as the server's own user, and, as
// root, as two others.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	f := newFixture(databasetest.Open(t, database.SQLite, access.Migrations()))
	f.people(t)
	if err := f.BindUID(t.Context(), root, "olga", 60001); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rind-socket-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	access.NewGuard(f.Service, access.GuardOptions{}).Mount(mux, routes())
	srv := &http.Server{Handler: mux, ConnContext: access.UnixPeer, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	for _, p := range []string{dir, path} {
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}

	if status, text := askSocket(t, path, -1, "/api/admin"); status != 200 || text != "uid:0 admin socket" {
		t.Errorf("the server's own user: %d %s", status, text)
	}
	if os.Geteuid() != 0 {
		t.Skip("the rest needs root, to connect as other users")
	}
	for _, tc := range []struct {
		uid    int
		path   string
		status int
		text   string
	}{
		{60001, "/api/operate", 200, "olga operator socket"},
		{60001, "/api/admin", 403, "ask an administrator"},
		{60002, "/api/view", 403, "rind user bind NAME --uid 60002"},
		{60002, "/public", 200, "nobody"},
	} {
		if status, text := askSocket(t, path, tc.uid, tc.path); status != tc.status || !strings.Contains(text, tc.text) {
			t.Errorf("uid %d at %s: %d %s, want %d %s", tc.uid, tc.path, status, text, tc.status, tc.text)
		}
	}
}

// askSocket sends a request over the socket from a thread with another
// effective uid; -1 keeps it.
func askSocket(t *testing.T, path string, uid int, url string) (int, string) {
	t.Helper()
	type result struct {
		status int
		text   string
		err    error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		defer func() { results <- r }()
		if uid >= 0 {
			runtime.LockOSThread() // for ever: the thread ends with the goroutine
			const keep = ^uintptr(0)
			if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, uintptr(uid), keep); e != 0 {
				r.err = e
				return
			}
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			r.err = err
			return
		}
		defer func() { _ = c.Close() }()
		if _, r.err = io.WriteString(c, "GET "+url+" HTTP/1.1\r\nHost: rind\r\nConnection: close\r\n\r\n"); r.err != nil {
			return
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			r.err = err
			return
		}
		b, err := io.ReadAll(answer.Body)
		r.status, r.text, r.err = answer.StatusCode, string(b), err
	}()
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.status, r.text
}

// TestUnixPeerElsewhere checks that a connection that is no unix socket makes
// nobody anybody.
func TestUnixPeerElsewhere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx := context.Background()
	if access.UnixPeer(ctx, c) != ctx {
		t.Error("a TCP connection has a peer with a uid")
	}
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for name, tc := range map[string]struct {
		remote  string
		headers []string
		trusted []netip.Prefix
		want    string
	}{
		"direct":                    {"192.0.2.1:1234", nil, trusted, "192.0.2.1"},
		"direct and spoofed":        {"192.0.2.1:1234", []string{"203.0.113.9"}, trusted, "192.0.2.1"},
		"nobody is trusted":         {"10.0.0.1:1234", []string{"203.0.113.9"}, nil, "10.0.0.1"},
		"by a proxy":                {"10.0.0.1:1234", []string{"203.0.113.9"}, trusted, "203.0.113.9"},
		"by a proxy and spoofed":    {"10.0.0.1:1234", []string{"1.2.3.4, 203.0.113.9"}, trusted, "203.0.113.9"},
		"spoofed in another header": {"10.0.0.1:1234", []string{"1.2.3.4", "203.0.113.9"}, trusted, "203.0.113.9"},
		"by two proxies":            {"10.0.0.1:1234", []string{"203.0.113.9, 10.9.9.9"}, trusted, "203.0.113.9"},
		"spoofed as a proxy":        {"10.0.0.1:1234", []string{"1.2.3.4, 10.1.1.1, 203.0.113.9, 10.9.9.9"}, trusted, "203.0.113.9"},
		"inside only":               {"10.0.0.1:1234", []string{"10.0.0.7"}, trusted, "10.0.0.7"},
		"no header":                 {"10.0.0.1:1234", nil, trusted, "10.0.0.1"},
		"garbage":                   {"10.0.0.1:1234", []string{"unknown"}, trusted, "10.0.0.1"},
		"garbage behind a proxy":    {"10.0.0.1:1234", []string{"203.0.113.9, nonsense, 10.9.9.9"}, trusted, "10.9.9.9"},
		"mapped":                    {"[::ffff:10.0.0.1]:1234", []string{"::ffff:203.0.113.9"}, trusted, "203.0.113.9"},
		"IPv6":                      {"[2001:db8::1]:1234", []string{"[2a00::1]:99"}, trusted, "2a00::1"},
		"with a zone":               {"[fe80::1%eth0]:1234", nil, trusted, "fe80::1"},
		"unix socket":               {"@", []string{"203.0.113.9"}, trusted, "invalid IP"},
		"many hops":                 {"10.0.0.1:1", []string{strings.Repeat("10.0.0.2,", 100_000) + "10.0.0.3"}, trusted, "10.0.0.2"},
	} {
		mux := http.NewServeMux()
		var got netip.Addr
		access.NewGuard(newFixture(nil).Service, access.GuardOptions{TrustedProxies: tc.trusted}).Mount(mux, []access.Route{
			{Method: "GET", Pattern: "/", Need: access.Public, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = access.ClientAddr(r) })},
		})
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.remote
		for _, h := range tc.headers {
			r.Header.Add("X-Forwarded-For", h)
		}
		mux.ServeHTTP(httptest.NewRecorder(), r)
		if got.String() != tc.want {
			t.Errorf("%s: %v, want %s", name, got, tc.want)
		}
		if tc.want == "192.0.2.1" && access.ClientAddr(r) != got {
			t.Errorf("%s: without a guard it is %v", name, access.ClientAddr(r))
		}
	}
}

// TestSpoofedLogins sends each wrong login with another X-Forwarded-For from
// one address.
func TestSpoofedLogins(t *testing.T) {
	t.Parallel()
	f := newFixture(databasetest.Open(t, database.SQLite, access.Migrations()))
	f.people(t)
	mux := http.NewServeMux()
	access.NewGuard(f.Service, access.GuardOptions{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).Mount(mux, []access.Route{
		{Method: "POST", Pattern: "/api/login", Need: access.Public, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _, err := f.Login(r.Context(), "ada", "a wrong password", access.ClientAddr(r))
			access.WriteError(w, err)
		})},
	})
	counts := map[int]int{}
	for i := range 100 {
		r := httptest.NewRequest("POST", "/api/login", nil)
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String())
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		counts[w.Code]++
		if w.Code == 429 && w.Header().Get("Retry-After") == "" {
			t.Fatal("429 does not say when to try again")
		}
	}
	if counts[401] != 5 || counts[429] != 95 {
		t.Errorf("the answers are %v, want 5 of 401 and 95 of 429", counts)
	}
}

func FuzzSafeNext(f *testing.F) {
	for _, s := range []string{"/", "/hosts?a=1", "//evil", "/\\evil", "https://evil", "/\t/evil", "", "hosts", "/%2f/evil", "/a\r\nb", "javascript:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := access.SafeNext(s)
		if got != s && got != "/" {
			t.Errorf("%q became %q", s, got)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leaves the server: %q", s, got)
		}
	})
}

func TestSafeNext(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"/hosts?a=1#x": "/hosts?a=1#x", "//evil": "/", "/\\evil": "/", "https://evil/": "/", "": "/", "hosts": "/", "/\t/evil": "/", "/a\nb": "/"} {
		if got := access.SafeNext(in); got != want {
			t.Errorf("SafeNext(%q) = %q, want %q", in, got, want)
		}
	}
}
