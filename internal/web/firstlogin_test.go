package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// firstLogin logs in with a password that somebody else chose, changes it as
// the page asks, and logs in with the own one.
func (w *world) firstLogin(t *testing.T, name, given string) *client {
	t.Helper()
	c := w.nobody(t)
	status, _, h := c.post("/login", url.Values{"name": {name}, "password": {given}, "next": {"/hosts"}})
	if status != http.StatusSeeOther || h.Get("Location") != "/account" {
		t.Fatalf("the first login of %s: %d, to %q", name, status, h.Get("Location"))
	}
	status, page, h := c.post("/account/password", url.Values{"old": {given}, "new": {password}})
	if status != http.StatusSeeOther || h.Get("Location") != "/login?changed" {
		t.Fatalf("changing the password of %s: %d, to %q: %s", name, status, h.Get("Location"), text(t, page))
	}
	return w.as(t, name)
}

// TestFirstLogin walks through the pages with the password of the first start.
func TestFirstLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const given = "shown on a terminal"
	admin := w.as(t, "the-admin")
	if status, _, _ := admin.post("/users/the-viewer", url.Values{"do": {"password"}, "password": {given}}); status != http.StatusSeeOther {
		t.Fatalf("setting a password: %d", status)
	}
	_, page, _ := admin.get("/users")
	if seen := text(t, page); strings.Count(seen, "must change password") != 1 || !strings.Contains(seen, "the-viewer must change password viewer") {
		t.Errorf("the users' page does not say who must change it: %s", seen)
	}

	c := w.nobody(t)
	c.post("/login", url.Values{"name": {"the-viewer"}, "password": {given}})
	for _, path := range append([]string{"/users", "/audit", "/events/changes"}, everyPage...) {
		status, _, h := c.get(path)
		if path != "/account" && (status != http.StatusSeeOther || h.Get("Location") != "/account") {
			t.Errorf("%s answers %d, to %q", path, status, h.Get("Location"))
		}
	}
	for _, path := range []string{"/jobs", "/taps", "/account/tokens", "/account/tokens/revoke", "/users"} {
		if status, _, h := c.post(path, url.Values{"name": {"x"}, "role": {"viewer"}, "ttl": {"24h"}}); status != http.StatusSeeOther || h.Get("Location") != "/account" {
			t.Errorf("a form to %s: %d, to %q", path, status, h.Get("Location"))
		}
	}
	if status, page, _ := c.get("/api/v1/traffic"); status != http.StatusForbidden || !strings.Contains(page, "change your password first") {
		t.Errorf("the API: %d %s", status, page)
	}
	if status, _, _ := c.get("/static/base.css"); status != http.StatusOK {
		t.Errorf("the style: %d", status)
	}

	status, page, _ := c.get("/account")
	seen := text(t, page)
	if status != http.StatusOK || !strings.Contains(seen, "Change your password first.") || !strings.Contains(page, `action="/account/password"`) || !strings.Contains(page, `action="/logout"`) {
		t.Errorf("the account: %d %s", status, seen)
	}
	for _, no := range []string{"API token", `href="/hosts"`} {
		if strings.Contains(page, no) {
			t.Errorf("the account shows %q", no)
		}
	}
	for _, x := range []struct{ old, new, want string }{
		{given, given, "The new password is the old one"}, {"not this one", password, "The old password is wrong"}, {given, "short", "choose a longer one"},
	} {
		status, page, _ := c.post("/account/password", url.Values{"old": {x.old}, "new": {x.new}})
		if seen := text(t, page); status < 400 || !strings.Contains(seen, x.want) || !strings.Contains(seen, "Change your password first.") {
			t.Errorf("%q to %q: %d %s", x.old, x.new, status, seen)
		}
	}

	v := w.firstLogin(t, "the-viewer", given)
	if status, page, _ := v.get("/account"); status != http.StatusOK || strings.Contains(page, "password first") || !strings.Contains(page, "New API token") {
		t.Errorf("the account after the change: %d %s", status, text(t, page))
	}
	if status, _, h := c.get("/account"); status != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/login") {
		t.Errorf("the other session goes on: %d, to %q", status, h.Get("Location"))
	}
}
