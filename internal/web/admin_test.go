package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
)

func TestTapsAreRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	operator, admin := w.as(t, "the-operator"), w.as(t, "the-admin")
	if _, page, _ := operator.get("/taps"); strings.Contains(page, "/taps/office") {
		t.Error("an operator is shown the buttons of a tap's token")
	}
	if status, _, _ := operator.post("/taps/office", url.Values{"do": {"revoke"}}); status != http.StatusForbidden {
		t.Errorf("an operator revokes: %d", status)
	}
	status, page, _ := admin.post("/taps/office", url.Values{"do": {"rotate"}})
	if want := "rind-tap join --server " + w.URL + " --pin sha256:0123 --token rindtap_abc_another"; status != http.StatusOK || !strings.Contains(text(t, page), want) {
		t.Errorf("rotating: %d, and %q is not in %s", status, want, text(t, page))
	}
	if status, _, h := admin.post("/taps/rack-2", url.Values{"do": {"revoke"}}); status != http.StatusSeeOther || h.Get("Location") != "/taps" {
		t.Errorf("revoking: %d to %q", status, h.Get("Location"))
	}
	for _, x := range []struct {
		name, do string
		status   int
	}{{"nobody", "rotate", http.StatusNotFound}, {"old-lab", "revoke", http.StatusNotFound}, {"office", "paint", http.StatusBadRequest}} {
		if status, _, _ := admin.post("/taps/"+x.name, url.Values{"do": {x.do}}); status != x.status {
			t.Errorf("%s %s: %d, want %d", x.do, x.name, status, x.status)
		}
	}
	if want := []string{"rotate office", "revoke rack-2"}; !slices.Equal(w.taps.did, want) {
		t.Errorf("it did %q, want %q", w.taps.did, want)
	}
	trail, err := w.access.AuditList(t.Context(), 3, "")
	if err != nil || len(trail) != 3 || trail[2].Action != "tap.revoke" || !trail[2].OK || trail[2].Object != "rack-2" || trail[0].OK {
		t.Errorf("the audit trail says %+v, %v", trail, err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as(t, "the-admin")
	for _, who := range []string{"the-viewer", "the-operator"} {
		c := w.as(t, who)
		if _, page, _ := c.get("/"); strings.Contains(page, `href="/users"`) {
			t.Errorf("%s is led to the users", who)
		}
		if status, _, _ := c.get("/users"); status != http.StatusForbidden {
			t.Errorf("%s sees the users: %d", who, status)
		}
	}
	if status, page, _ := admin.get("/users"); status != http.StatusOK || !strings.Contains(text(t, page), "the-admin you admin") || !strings.Contains(text(t, page), "3 users") {
		t.Errorf("the users: %d %s", status, text(t, page))
	}
	for _, x := range []struct {
		path   string
		form   url.Values
		status int
		want   string
	}{
		{"/users", url.Values{"name": {"anna"}, "password": {"short"}, "role": {"viewer"}}, 400, "password"},
		{"/users", url.Values{"name": {"anna"}, "password": {password}, "role": {"king"}}, 400, "role"},
		{"/users", url.Values{"name": {"<b>"}, "password": {password}, "role": {"viewer"}}, 400, "is no user name"},
		{"/users", url.Values{"name": {"the-viewer"}, "password": {password}, "role": {"viewer"}}, 409, "exists already"},
		{"/users/nobody", url.Values{"do": {"delete"}}, 404, "There is no user"},
		{"/users/the-admin", url.Values{"do": {"delete"}}, 409, "is the last administrator"},
		{"/users/the-admin", url.Values{"do": {"role"}, "role": {"viewer"}}, 409, "is the last administrator"},
		{"/users/the-viewer", url.Values{"do": {"praise"}}, 400, "A change is role, password or delete."},
	} {
		status, page, _ := admin.post(x.path, x.form)
		if seen := text(t, page); status != x.status || !strings.Contains(seen, x.want) {
			t.Errorf("%s %v: %d, and %q is not in %s", x.path, x.form, status, x.want, seen)
		}
	}
	do := func(path string, form url.Values) {
		t.Helper()
		if status, page, h := admin.post(path, form); status != http.StatusSeeOther || h.Get("Location") != "/users" {
			t.Fatalf("%s: %d to %q: %s", path, status, h.Get("Location"), text(t, page))
		}
	}
	do("/users", url.Values{"name": {"anna"}, "password": {"chosen by the admin"}, "role": {"viewer"}})
	anna := w.firstLogin(t, "anna", "chosen by the admin")
	do("/users/anna", url.Values{"do": {"role"}, "role": {"operator"}})
	if status, _, _ := anna.post("/jobs", url.Values{"target": {"*"}, "function": {"test.ping"}}); status != http.StatusSeeOther {
		t.Errorf("anna is an operator now and may not run a job: %d", status)
	}
	do("/users/anna", url.Values{"do": {"password"}, "password": {"another good passphrase"}})
	if status, _, h := anna.get("/hosts"); status != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/login") {
		t.Errorf("anna's session goes on after a new password: %d", status)
	}
	do("/users/anna", url.Values{"do": {"delete"}})
	if _, page, _ := admin.get("/users"); strings.Contains(text(t, page), "anna") {
		t.Error("anna is still there")
	}
}

func TestAuditTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 120 {
		e := access.Entry{By: "the-operator", Via: "session", Action: "job.run", Object: jid(n), Detail: fmt.Sprintf("number %03d.", n), Addr: netip.MustParseAddr("192.0.2.9"), OK: n%2 == 0}
		if n == 119 {
			e.By, e.Object, e.Detail = hostile, hostile, hostile
		}
		if err := w.access.Audit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, _ := w.as(t, "the-operator").get("/audit"); status != http.StatusForbidden {
		t.Errorf("an operator reads the audit trail: %d", status)
	}
	admin := w.as(t, "the-admin")
	_, page, _ := admin.get("/audit")
	seen := text(t, page)
	for _, want := range []string{"admin session login ok", "number 118.", "192.0.2.9", "refused", "100 rows", "Older"} {
		if !strings.Contains(seen, want) {
			t.Errorf("%q is not in %.600s", want, seen)
		}
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(seen, "number 001.") {
		t.Error("the page has a text as HTML, or all rows at once")
	}
	if !strings.Contains(page, `href="/jobs/`+jid(118)+`"`) || strings.Contains(page, `href="/jobs/`+jid(117)+`"`) {
		t.Error("a job that ran is not led to, or one that was refused is")
	}
	_, rest, _ := strings.Cut(page, `href="/audit?before=`)
	before, _, _ := strings.Cut(rest, `"`)
	_, page, _ = admin.get("/audit?before=" + before)
	if seen := text(t, page); !strings.Contains(seen, "number 001.") || strings.Contains(seen, "number 118.") || !strings.Contains(seen, "Newest") {
		t.Errorf("the older page: %.400s", seen)
	}
	if status, page, _ := admin.get("/audit?before=%27"); status != http.StatusOK || !strings.Contains(text(t, page), "is damaged") {
		t.Errorf("a damaged place: %d", status)
	}
}

// TestJobsOfAHost holds that the page of a host lists the jobs that were for it,
// not those whose target looks as if it were.
func TestJobsOfAHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	w.fleet.jobs[0].Target, w.fleet.returns[w.fleet.jobs[0].JID] = "G@role:web", nil
	w.fleet.jobs[0].Summary.MissingPeels = nil
	c := w.as(t, "the-viewer")
	_, page, _ := c.get("/hosts/web-01")
	if strings.Contains(page, w.fleet.jobs[0].JID) {
		t.Error("a job is listed that was not for the host")
	}
	w.fleet.jobs[0].Summary.MissingPeels = append(w.fleet.jobs[0].Summary.MissingPeels, "web-01")
	if _, page, _ = c.get("/hosts/web-01"); !strings.Contains(page, w.fleet.jobs[0].JID) {
		t.Error("a job is not listed that the host missed")
	}
}
