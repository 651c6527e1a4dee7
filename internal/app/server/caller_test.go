package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/network"
)

// callers are the columns of testdata/routes.txt, in order.
var callers = []string{"nobody", "peel", "tap", "viewer", "operator", "admin"}

const walkPassword = "a long enough passphrase 42"

// caller is one way in which somebody of a kind asks.
type caller struct {
	kind   string // of callers
	by     string // "token", "session", "socket" or "nothing"
	bearer string
	cookie *http.Cookie
}

// name tells the caller from all others; it can be a user's name.
func (c caller) name() string { return c.kind + "-" + c.by }

// dress adds to a request what the caller shows.
func (c caller) dress(req *http.Request) {
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	if c.cookie != nil {
		req.AddCookie(c.cookie)
		req.Header.Set("Sec-Fetch-Site", "same-origin") // as a browser does
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
}

// everybody makes the callers: a peel that shows its permission for the bus,
// a tap with its token, a user of each role with a session and with a token,
// all got through the doors that they would take, and who sits at the machine.
func (r *running) everybody(t *testing.T) []caller {
	t.Helper()
	bus, err := r.enroll(t, "walker").UserJWT()
	if err != nil {
		t.Fatal(err)
	}
	all := []caller{
		{kind: "nobody", by: "nothing"},
		{kind: "peel", by: "token", bearer: bus},
		{kind: "tap", by: "token", bearer: r.addTap(t, "walker")},
	}
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		name := role.String()
		r.addUser(t, "walk-"+name, role)
		cookie := r.login(t, "walk-"+name)
		all = append(all,
			caller{kind: name, by: "session", cookie: cookie},
			caller{kind: name, by: "token", bearer: r.tokenOf(t, cookie)})
	}
	// The server's own user, who is an administrator.
	return append(all, caller{kind: "admin", by: "socket"})
}

// addUser makes a user who has changed the password that the administrator
// chose.
func (r *running) addUser(t *testing.T, name string, role access.Role) {
	t.Helper()
	const given = "given by the admin"
	if err := r.people.CreateUser(t.Context(), machineAdmin, name, given, role); err != nil {
		t.Fatal(err)
	}
	p := access.Principal{Name: name, Role: role, Via: access.ViaSession, MustChange: true}
	if err := r.people.ChangePassword(t.Context(), p, given, walkPassword, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
}

// addTap gives a tap its token.
func (r *running) addTap(t *testing.T, name network.TapID) string {
	t.Helper()
	var made struct{ Token string }
	a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/taps", map[string]any{"name": name}, &made)
	if made.Token == "" {
		t.Fatalf("no tap token: %d %s", a.status, a.body)
	}
	return made.Token
}

// login begins a session.
func (r *running) login(t *testing.T, name string) *http.Cookie {
	t.Helper()
	a := r.call(t, "", http.MethodPost, "/login", map[string]string{"name": name, "password": walkPassword}, nil)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == access.CookieName && c.Value != "" {
			return &http.Cookie{Name: c.Name, Value: c.Value}
		}
	}
	t.Fatalf("no session for %s: %d %s", name, a.status, a.body)
	return nil
}

// tokenOf makes an API token of whoever has the session, with their role.
func (r *running) tokenOf(t *testing.T, session *http.Cookie) string {
	t.Helper()
	p, err := r.people.Session(t.Context(), session.Value)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := r.people.CreateToken(t.Context(), p, "walk", p.Role, time.Hour)
	if err != nil {
		t.Fatal(fmt.Errorf("a token for %s: %w", p.Name, err))
	}
	return secret
}
