package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network/store"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.nobody(t)
	if status, _, h := c.get("/flows?range=6h"); status != http.StatusSeeOther || h.Get("Location") != "/login?next=%2Fflows%3Frange%3D6h" {
		t.Errorf("nobody is sent to %q with %d", h.Get("Location"), status)
	}
	status, page, _ := c.post("/login", url.Values{"name": {"the-admin"}, "password": {"wrong"}, "next": {"//evil.example"}})
	if seen := text(t, page); status != http.StatusUnauthorized || !strings.Contains(seen, "Wrong name or password") || strings.Contains(page, "evil.example") {
		t.Errorf("a wrong password: %d %s", status, seen)
	}
	for range 50 {
		var h http.Header
		if status, page, h = c.post("/login", url.Values{"name": {"the-admin"}, "password": {"wrong"}}); status == http.StatusTooManyRequests {
			if seen := text(t, page); h.Get("Retry-After") == "" || !strings.Contains(seen, "try again in") {
				t.Errorf("the limit does not say when to try again: %v %s", h, seen)
			}
			break
		}
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("50 wrong passwords end in %d", status)
	}
	v := w.as(t, "the-viewer")
	if status, _, h := v.post("/logout", nil); status != http.StatusSeeOther || h.Get("Location") != "/login?out" {
		t.Errorf("logging out: %d to %q", status, h.Get("Location"))
	}
	if status, _, _ := v.get("/hosts"); status != http.StatusSeeOther {
		t.Errorf("after the logout /hosts answers %d", status)
	}
}

func TestForeignFormsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-admin")
	for _, path := range []string{"/jobs", "/taps", "/taps/office", "/tasks/t1", "/users", "/users/the-viewer", "/enrollment", "/enrollment/web-04", "/account/tokens", "/account/password", "/logout", "/theme", "/login"} {
		status, _, _ := c.post(path, url.Values{"target": {"*"}, "function": {"test.ping"}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		if status != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, status)
		}
	}
	if len(w.fleet.asked) > 0 || len(w.enroll.did) > 0 || len(w.taps.did) > 0 {
		t.Errorf("it did something: %v %v", w.fleet.asked, w.enroll.did)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-operator")
	form := func(target, function, arg, wait string) url.Values {
		return url.Values{"target": {target}, "function": {function}, "arg": {arg}, "timeout": {wait}}
	}
	for _, x := range []struct {
		form   url.Values
		status int
		want   string
	}{
		{form("", "test.ping", "", ""), 400, "The target is empty"},
		{form("*", "rm", "", ""), 404, "There is no function"},
		{form("*", "file.raed", "/etc/hosts", ""), 404, "did you mean file.read"},
		{form("*", "file.read", "'/etc/hosts", ""), 400, "without its end"},
		{form("*", "", "", ""), 400, "The function is empty"},
		{form("*", "cmd.run", " ", ""), 400, "Cmd.run needs COMMAND"},
		{form("*", "test.ping", "", "99999"), 400, "The wait is from 1 to 3600 seconds."},
		{form("none", "test.ping", "", ""), 404, "matches no peel"},
	} {
		status, page, _ := c.post("/jobs", x.form)
		if seen := text(t, page); status != x.status || !strings.Contains(seen, x.want) {
			t.Errorf("%v: %d, and %q is not in %s", x.form, status, x.want, seen)
		}
	}
	w.fleet.asked = nil
	status, _, h := c.post("/jobs", form("web-*", "cmd.run", "echo  'a b' ", "30"))
	if status != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/jobs/0190a8c2-") {
		t.Errorf("a job: %d to %q", status, h.Get("Location"))
	}
	want := []fleet.JobRequest{{Target: "web-*", Function: "cmd.run", Args: []string{"echo  'a b' "}, Timeout: 30 * time.Second, By: "the-operator"}}
	if diff := cmp.Diff(want, w.fleet.asked); diff != "" {
		t.Error(diff)
	}
	trail, err := w.access.AuditList(t.Context(), 1, "")
	if err != nil || len(trail) != 1 || trail[0].Action != "job.run" || trail[0].By != "the-operator" || !trail[0].OK || !strings.Contains(trail[0].Detail, "web-*") {
		t.Errorf("the audit trail says %+v, %v", trail, err)
	}
}

func TestControlOfAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operator, viewer := w.as(t, "the-operator"), w.as(t, "the-viewer")
	_, _, h := operator.post("/jobs", url.Values{"target": {"web-*"}, "function": {"test.ping"}})
	page := h.Get("Location")
	if _, body, _ := viewer.get(page); strings.Contains(body, `name="action"`) {
		t.Error("a viewer is shown buttons")
	}
	if status, _, _ := viewer.post(page, url.Values{"action": {"cancel"}}); status != http.StatusForbidden {
		t.Errorf("a viewer cancels: %d", status)
	}
	if status, body, _ := operator.post(page, url.Values{"action": {"explode"}}); status != http.StatusBadRequest || !strings.Contains(text(t, body), "one of its buttons") {
		t.Errorf("what there is no button for: %d", status)
	}
	for _, step := range []struct{ action, shows string }{{"pause", "resume"}, {"resume", "cancel"}, {"cancel", "by the-operator"}} {
		if status, _, h := operator.post(page, url.Values{"action": {step.action}}); status != http.StatusSeeOther || h.Get("Location") != page {
			t.Errorf("%s: %d to %q", step.action, status, h.Get("Location"))
		}
		if _, body, _ := operator.get(page); !strings.Contains(text(t, body), step.shows) {
			t.Errorf("behind %s the page does not show %q: %s", step.action, step.shows, text(t, body))
		}
	}
	if status, body, _ := operator.post(page, url.Values{"action": {"pause"}}); status != http.StatusConflict || !strings.Contains(text(t, body), "cancelled already") {
		t.Errorf("pausing what is cancelled: %d %s", status, text(t, body))
	}
	if status, _, h := operator.post(page, url.Values{"action": {"retry"}}); status != http.StatusSeeOther || h.Get("Location") == "" {
		t.Errorf("retry: %d", status)
	}
	trail, err := w.access.AuditList(t.Context(), 3, "")
	if err != nil || len(trail) != 3 || trail[0].Action != "job.retry" || trail[1].Action != "job.pause" || trail[1].OK || trail[2].Action != "job.cancel" {
		t.Errorf("the audit trail says %+v, %v", trail, err)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	operator, admin := w.as(t, "the-operator"), w.as(t, "the-admin")
	if status, _, _ := operator.post("/enrollment/web-04", url.Values{"do": {"approve"}, "key": {"UWEB04"}}); status != http.StatusForbidden {
		t.Errorf("an operator approves: %d", status)
	}
	if status, page, _ := admin.post("/enrollment/web-04", url.Values{"do": {"approve"}, "key": {"UOTHER"}}); status != http.StatusConflict || !strings.Contains(text(t, page), "another key") {
		t.Errorf("approving a key that was not shown: %d", status)
	}
	for _, x := range []struct{ id, do, key string }{{"web-04", "approve", "UWEB04"}, {"db-01", "replace", "UDB01B"}, {"bastion", "revoke", "UBASTION"}} {
		if status, _, h := admin.post("/enrollment/"+x.id, url.Values{"do": {x.do}, "key": {x.key}}); status != http.StatusSeeOther || h.Get("Location") != "/enrollment" {
			t.Errorf("%s: %d", x.do, status)
		}
	}
	if want := []string{"approve the-admin false web-04", "approve the-admin true db-01", "revoke the-admin bastion"}; !slices.Equal(w.enroll.did, want) {
		t.Errorf("it did %q, want %q", w.enroll.did, want)
	}
}

func TestTokensAreShownOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "the-admin")
	_, page, _ := c.post("/enrollment", url.Values{"ttl": {"1h"}})
	if want := "rind-peel enroll --server " + w.URL + " --pin sha256:0123 --token rindpeel_abc_secret"; !strings.Contains(text(t, page), want) {
		t.Errorf("%q is not in %s", want, text(t, page))
	}
	_, page, _ = c.post("/taps", url.Values{"name": {"attic"}, "tenant": {" acme "}})
	if want := "rind-tap join --server " + w.URL + " --pin sha256:0123 --token rindtap_abc_secret"; !strings.Contains(text(t, page), want) {
		t.Errorf("%q is not in %s", want, text(t, page))
	}
	if want := []string{"add attic of acme"}; !slices.Equal(w.taps.did, want) {
		t.Errorf("it did %q, want %q", w.taps.did, want)
	}
	if status, page, _ := c.post("/taps", url.Values{"name": {"office"}}); status != http.StatusConflict || !strings.Contains(text(t, page), "There is a tap") {
		t.Errorf("a tap's name that is taken: %d %s", status, text(t, page))
	}
	_, page, _ = c.post("/account/tokens", url.Values{"name": {"backup"}, "role": {"viewer"}, "ttl": {"24h"}})
	if !strings.Contains(page, "rind_") {
		t.Errorf("no token in %s", text(t, page))
	}
	if _, page, _ = c.get("/account"); strings.Contains(page, "rind_") || !strings.Contains(text(t, page), "backup") {
		t.Errorf("the token is shown again, or not listed: %s", text(t, page))
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-viewer")
	for _, x := range []struct{ path, want string }{
		{"/flows?addr=300.1.1.1", "is not an address"}, {"/flows?port=70000", "not a number from 1 to 65535"}, {"/flows?proto=tcp", "not a number"},
		{"/flows?range=1y", "is not one of 15m"}, {"/flows?before=x", "damaged"}, {"/dns?type=A", "not a number"}, {"/hosts?match=[", "does not end"},
	} {
		status, page, _ := c.get(x.path)
		if seen := text(t, page); status != http.StatusOK || !strings.Contains(seen, x.want) {
			t.Errorf("%s: %d, and %q is not in %.400s", x.path, status, x.want, seen)
		}
	}
	w.traffic.asked = nil
	_, page, _ := c.get("/flows?addr=192.0.2.9/24&port=443&proto=6&app=tls&tap=office&from=2026-01-01&to=2026-01-02")
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := []any{store.FlowQuery{From: day, To: day.Add(24 * time.Hour), Addr: prefix("192.0.2.0/24"), Port: 443, Proto: 6, App: "tls", Tap: "office", Limit: 100}}
	if diff := cmp.Diff(want, w.traffic.asked, cmpopts.EquateComparable(prefix("::/0"))); diff != "" {
		t.Error(diff)
	}
	// The link to older rows keeps the filter and names the row that the page ended on.
	last := w.traffic.flows[99]
	for _, want := range []string{"addr=192.0.2.9%2F24", "app=tls", "before=" + cursorText(last)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not lead on with %s", want)
		}
	}
	w.traffic.asked = nil
	if _, page, _ = c.get("/flows?before=" + cursorText(last)); strings.Contains(page, "sse-connect") || !strings.Contains(text(t, page), "Newest") {
		t.Error("an older page is live, or does not lead back")
	}
	if got := w.traffic.asked[0].(store.FlowQuery).Before; !got.Time.Equal(last.Start.Truncate(time.Microsecond)) || got.ID != last.ID {
		t.Errorf("asked for rows before %+v", got)
	}
	w.traffic.asked = nil
	_, _, _ = c.get("/dns?name=.Example.ORG.")
	if got := w.traffic.asked[0].(store.DNSQuery).Name; got != ".example.org" {
		t.Errorf("asked for the name %q", got)
	}
}

func TestTheme(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "the-viewer")
	if status, _, h := c.post("/theme", url.Values{"theme": {"dark"}, "back": {"/hosts"}}); status != http.StatusSeeOther || h.Get("Location") != "/hosts" {
		t.Errorf("choosing a theme: %d to %q", status, h.Get("Location"))
	}
	if _, page, _ := c.get("/hosts"); !strings.Contains(page, `data-theme="dark"`) {
		t.Error("the theme does not stay")
	}
	if _, _, h := c.post("/theme", url.Values{"theme": {"auto"}, "back": {"https://evil.example/"}}); h.Get("Location") != "/" {
		t.Errorf("a foreign address leads to %q", h.Get("Location"))
	}
	if _, page, _ := c.get("/hosts"); strings.Contains(page, "data-theme") {
		t.Error("automatic colours are not back")
	}
}
