package access_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
)

const own = "a password of my own"

// due lists who has to change their password.
func (f *fixture) due(t *testing.T) string {
	t.Helper()
	users, err := f.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range users {
		if u.MustChange {
			names = append(names, u.Name)
		}
	}
	return strings.Join(names, " ")
}

// TestWhoMustChange sets passwords in every way, and looks whose are one-time.
func TestWhoMustChange(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		first, err := f.Bootstrap(ctx)
		if err != nil {
			t.Fatal(err)
		}
		f.wantDue(t, "the first start", "admin")
		secret, admin, err := f.Login(ctx, "admin", first, home)
		if p, _ := f.Session(ctx, secret); err != nil || !admin.MustChange || !p.MustChange || p.Role != access.Admin {
			t.Fatalf("the login gives %+v, the session %+v, %v", admin, p, err)
		}
		fails(t, "a wrong old one", f.ChangePassword(ctx, admin, "not this one", own, home), errs.Forbidden, "old password is wrong")
		fails(t, "the same again", f.ChangePassword(ctx, admin, first, first, home), errs.Invalid, "choose another")
		f.wantDue(t, "two tries that failed", "admin")
		if err := f.ChangePassword(ctx, admin, first, own, home); err != nil {
			t.Fatal(err)
		}
		f.wantDue(t, "the change", "")
		_, _, err = f.Login(ctx, "admin", first, home)
		fails(t, "the one-time password again", err, errs.Unauthorized, "wrong name or password")
		if _, admin, err = f.Login(ctx, "admin", own, home); err != nil || admin.MustChange {
			t.Fatalf("after the change: %+v, %v", admin, err)
		}

		if err := f.CreateUser(ctx, admin, "vera", words["vera"], access.Viewer); err != nil {
			t.Fatal(err)
		}
		f.wantDue(t, "a new user", "vera")
		if err := f.SetPassword(ctx, admin, "admin", own+" 2"); err != nil {
			t.Fatal(err)
		}
		f.wantDue(t, "one's own set without the old one", "vera")
		if err := f.SetPassword(ctx, root, "admin", own+" 3"); err != nil {
			t.Fatal(err)
		}
		f.wantDue(t, "an administrator's set by the machine's", "admin vera")
		if err := f.SetRole(ctx, root, "vera", access.Operator); err != nil {
			t.Fatal(err)
		}
		f.wantDue(t, "a change of role", "admin vera")
	})
}

func (f *fixture) wantDue(t *testing.T, after, want string) {
	t.Helper()
	if got := f.due(t); got != want {
		t.Errorf("after %s these must change theirs: %q, want %q", after, got, want)
	}
}

// TestMustChange asks the service itself for everything that needs a role, and
// checks what the change ends and what it leaves.
func TestMustChange(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		_, before := f.login(t, "ada")
		token, err := f.CreateToken(ctx, before, "before", access.Admin, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.BindUID(ctx, root, "ada", 1000); err != nil {
			t.Fatal(err)
		}
		if err := f.SetPassword(ctx, root, "ada", words["ada"]); err != nil {
			t.Fatal(err)
		}
		one, p := f.login(t, "ada")
		two, _ := f.login(t, "ada")
		_, made := f.CreateToken(ctx, p, "x", access.Viewer, 0)
		_, listed := f.ListTokens(ctx, p)
		for name, err := range map[string]error{
			"make a token": made, "list tokens": listed, "revoke a token": f.RevokeToken(ctx, p, strings.Split(token, "_")[1]),
			"make a user": f.CreateUser(ctx, p, "new", own, access.Admin), "set a password": f.SetPassword(ctx, p, "ada", own),
			"set a role": f.SetRole(ctx, p, "vera", access.Admin), "delete": f.DeleteUser(ctx, p, "vera"), "bind": f.BindUID(ctx, p, "ada", 1001),
		} {
			fails(t, name, err, errs.Forbidden, "change your password first")
		}
		// What came by no password does not depend on it.
		for name, who := range map[string]func() (access.Principal, error){
			"a token":     func() (access.Principal, error) { return f.Token(ctx, token) },
			"root":        func() (access.Principal, error) { return f.PrincipalForUID(ctx, 0, 998) },
			"a bound uid": func() (access.Principal, error) { return f.PrincipalForUID(ctx, 1000, 998) },
		} {
			if got, err := who(); err != nil || got.MustChange || got.Role != access.Admin {
				t.Errorf("%s is %+v, %v", name, got, err)
			}
		}
		if err := f.ChangePassword(ctx, p, words["ada"], own, home); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{one, two} {
			_, err := f.Session(ctx, secret)
			fails(t, "a session of before", err, errs.Unauthorized, "log in again")
		}
	})
}

// TestGuardMustChange asks every route with one-time passwords.
func TestGuardMustChange(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, access.Migrations(), func(t *testing.T, db *database.DB) {
		s := newSite(t, db, access.GuardOptions{LoginPath: "/login", PasswordPath: "/account"})
		for _, name := range []string{"ada", "olga", "vera"} {
			if err := s.SetPassword(t.Context(), root, name, words[name]); err != nil {
				t.Fatal(err)
			}
			secret, _ := s.login(t, name)
			s.callers[name+" by session"] = func(r *http.Request) { r.AddCookie(&http.Cookie{Name: access.CookieName, Value: secret}) }
		}
		refused := 0
		for _, caller := range []string{"ada by session", "olga by session", "vera by session"} {
			for _, path := range []string{"public", "tap", "first", "view", "operate", "admin"} {
				for _, method := range []string{"GET", "HEAD", "POST"} {
					api, page := s.ask(method, "/api/"+path, caller), s.ask(method, "/"+path, caller)
					switch path {
					case "public", "first":
						if api.StatusCode != 200 || page.StatusCode != 200 {
							t.Errorf("%s %s as %s: %d and %d", method, path, caller, api.StatusCode, page.StatusCode)
						}
						continue
					case "tap":
						if api.StatusCode != 401 {
							t.Errorf("%s %s as %s: %d", method, path, caller, api.StatusCode)
						}
						continue
					}
					refused += 2
					wantMustChange(t, api, method, path)
					if page.StatusCode != 303 || page.Header.Get("Location") != "/account" {
						t.Errorf("%s /%s as %s: %d to %q", method, path, caller, page.StatusCode, page.Header.Get("Location"))
					}
				}
			}
		}
		if n := s.count(t, "rind_access_refused_total", "must_change"); n != float64(refused) {
			t.Errorf("%v refusals are counted, want %d", n, refused)
		}
		if got := s.ask("POST", "/api/admin", "ada by token"); got.StatusCode != 200 {
			t.Errorf("a token of before: %d", got.StatusCode)
		}
	})
}

func wantMustChange(t *testing.T, r *http.Response, method, path string) {
	t.Helper()
	var answer struct {
		Error struct{ Kind, Message string }
	}
	text := body(t, r)
	if method != "HEAD" {
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%s %s: %v in %q", method, path, err, text)
		}
	}
	const want = "change your password first: open /account, or POST /api/v1/password"
	if r.StatusCode != 403 || method != "HEAD" && (answer.Error.Kind != "forbidden" || answer.Error.Message != want) {
		t.Errorf("%s /api/%s: %d %s", method, path, r.StatusCode, text)
	}
}

// TestToPassword checks how a browser learns where to change it, and that a
// script is told without a redirect.
func TestToPassword(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/account", ""} {
		s := newSite(t, databasetest.Open(t, database.SQLite, access.Migrations()), access.GuardOptions{LoginPath: "/login", PasswordPath: at})
		if _, err := s.db.Exec(t.Context(), `UPDATE access_users SET must_change = TRUE`); err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			header, value      string
			status             int
			location, redirect string
		}{
			"a page": {"Accept", "text/html", 303, "/account", ""},
			"htmx":   {"HX-Request", "true", 403, "", "/account"},
			"events": {"Accept", "text/event-stream", 403, "", ""},
		} {
			if at == "" {
				tc.status, tc.location, tc.redirect = 403, "", ""
			}
			got := s.ask("GET", "/view?a=1", "vera by session", func(r *http.Request) { r.Header.Set(tc.header, tc.value) })
			if got.StatusCode != tc.status || got.Header.Get("Location") != tc.location || got.Header.Get("HX-Redirect") != tc.redirect {
				t.Errorf("%s, to %q: %d %q %q", name, at, got.StatusCode, got.Header.Get("Location"), got.Header.Get("HX-Redirect"))
			}
			if tc.status == 403 && !strings.Contains(body(t, got), "change your password first") {
				t.Errorf("%s, to %q: the refusal does not say what to do", name, at)
			}
		}
	}
}

// TestUsersOfBefore brings an older schema up to date: its users chose their
// passwords, as far as anybody knows.
func TestUsersOfBefore(t *testing.T) {
	t.Parallel()
	all := access.Migrations()
	databasetest.Each(t, all[:3], func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		if _, err := db.Exec(ctx, `INSERT INTO access_users (id, name, role, password, created_at, changed_at) VALUES ('1', 'ada', 'admin', 'x', 0, 0)`); err != nil {
			t.Fatal(err)
		}
		if err := database.Migrate(ctx, db, all); err != nil {
			t.Fatal(err)
		}
		if users, err := newFixture(db).Users(ctx); err != nil || len(users) != 1 || users[0].MustChange {
			t.Errorf("the users are %+v, %v", users, err)
		}
	})
}
