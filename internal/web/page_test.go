package web_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/web/static"
)

// client is a browser without scripts: it keeps cookies and follows nothing.
type client struct {
	*http.Client
	t    *testing.T
	base string
}

// as logs in through the form, like a person does.
func (w *world) as(t *testing.T, name string) *client {
	t.Helper()
	c := w.nobody(t)
	status, _, h := c.post("/login", url.Values{"name": {name}, "password": {password}, "next": {"/hosts"}})
	if status != http.StatusSeeOther || h.Get("Location") != "/hosts" {
		t.Fatalf("logging in as %s: %d, to %q", name, status, h.Get("Location"))
	}
	return c
}

func (w *world) nobody(t *testing.T) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{Client: &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t: t, base: w.URL}
}

func (c *client) do(method, path string, body io.Reader, header ...string) (int, string, http.Header) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func (c *client) get(path string, header ...string) (int, string, http.Header) {
	c.t.Helper()
	return c.do(http.MethodGet, path, nil, header...)
}

func (c *client) post(path string, v url.Values, header ...string) (int, string, http.Header) {
	c.t.Helper()
	return c.do(http.MethodPost, path, strings.NewReader(v.Encode()), header...)
}

// text is what a person reads of a page: no markup, runs of space as one.
func text(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

var everyPage = []string{"/", "/hosts", "/hosts/web-01", "/hosts/proxy", "/jobs", "/jobs/" + jid(1), "/jobs/" + jid(2), "/events", "/flows", "/dns", "/tls", "/records", "/records/http", "/records/wifi_networks", "/records/smb", "/taps", "/enrollment", "/account"}

// TestEveryPage checks what holds for each page, with data: its headers, that
// nothing in it needs what the policy forbids, and that tables have captions.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-admin")
	for _, path := range everyPage {
		status, page, h := c.get(path)
		if status != http.StatusOK {
			t.Errorf("%s: %d\n%s", path, status, text(t, page))
			continue
		}
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "script-src 'self'", "style-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %q", path, csp, want)
			}
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers are %v", path, h)
		}
		checkMarkup(t, path, page)
	}
}

// checkMarkup walks the parsed page.
func checkMarkup(t *testing.T, path, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") {
				t.Errorf("%s: <%s> has the inline attribute %s", path, n.Data, a.Key)
			}
			if a.Key == "id" {
				if ids[a.Val] {
					t.Errorf("%s: the id %s stands twice", path, a.Val)
				}
				ids[a.Val] = true
			}
		}
		switch n.DataAtom {
		case atom.Script, atom.Style:
			if n.FirstChild != nil {
				t.Errorf("%s: inline <%s>", path, n.Data)
			}
		case atom.Table:
			if n.FirstChild == nil || n.FirstChild.DataAtom != atom.Caption {
				t.Errorf("%s: a table without a caption", path)
			}
		}
	}
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "hx-select-oob" {
				for id := range strings.SplitSeq(a.Val, ", ") {
					if !ids[strings.TrimPrefix(id, "#")] {
						t.Errorf("%s: a refresh asks for %s, which is not there", path, id)
					}
				}
			}
			if (a.Key == "for" || a.Key == "aria-labelledby" || a.Key == "aria-describedby") && !ids[a.Val] {
				t.Errorf("%s: %s names %q, which is not there", path, a.Key, a.Val)
			}
		}
	}
}

// TestHostileNames puts markup, template actions and control characters where
// hosts and packets put names, and looks for them on every page.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.populate(now)
	for i := range w.fleet.peels {
		p := &w.fleet.peels[i]
		p.OS, p.Version, p.Address = hostile, hostile, hostile
		if f := p.Facts; f != nil {
			f.Hostname, f.FQDN, f.Kernel, f.CPU.Model, f.Virtual, f.OSPretty = hostile, hostile, hostile, hostile, hostile, hostile
			f.Interfaces[0].Name, f.Interfaces[0].Addresses[0], f.Mounts[0].Path, f.Disks[0].Model = hostile, hostile, hostile, hostile
		}
	}
	for i := range w.fleet.jobs {
		j := &w.fleet.jobs[i]
		j.Target, j.By, j.Args = hostile, hostile, []string{hostile}
	}
	for _, returns := range w.fleet.returns {
		for i := range returns {
			returns[i].OK, returns[i].Error, returns[i].Reason, returns[i].Value = false, hostile, hostile, raw(map[string]string{"stdout": hostile, "stderr": hostile})
		}
	}
	for i := range w.events.all {
		w.events.all[i].Data, w.events.all[i].By = raw(hostile), hostile
	}
	for i := range w.enroll.records {
		w.enroll.records[i].Hostname, w.enroll.records[i].Address, w.enroll.records[i].By = hostile, hostile, hostile
	}
	for i := range w.taps.taps {
		w.taps.taps[i].Health.Version = hostile
	}
	for i := range w.traffic.ledgers {
		w.traffic.ledgers[i].Interface = hostile
	}
	for i := range w.traffic.flows {
		w.traffic.flows[i].App = hostile
	}
	for i := range w.traffic.dns {
		w.traffic.dns[i].Name, w.traffic.dns[i].Answers = hostile, []string{hostile}
	}
	for i := range w.traffic.tls {
		w.traffic.tls[i].SNI, w.traffic.tls[i].ALPN = hostile, []string{hostile}
	}
	for _, k := range record.Kinds() {
		for _, r := range w.traffic.records[k.Name] {
			for i := range k.Columns {
				switch c := &k.Columns[i]; c.Type {
				case record.Text:
					r.Cell(c).SetString(hostile)
				case record.List:
					*record.At[[]string](r.Row, c) = []string{hostile}
				}
			}
		}
	}
	for i := range w.traffic.names {
		w.traffic.names[i].Name, w.traffic.servers[i].Name = hostile, hostile
	}
	c := w.as(t, "the-admin")
	for _, path := range everyPage {
		status, page, _ := c.get(path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		checkMarkup(t, path, page)
		for _, bad := range []string{"<script>alert", "\x1b", "\x00", "\u202e", "onload=x {{.}} <"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: %q reached the page", path, bad)
			}
		}
		if path == "/account" || path == "/hosts/proxy" || path == "/records" {
			continue
		}
		if seen := text(t, page); !strings.Contains(seen, `<script>alert(1)</script>"' onload=x {{.}} {{template "frame"}}␀␛[2J\u{202e}gnp.exe`) {
			t.Errorf("%s does not show the name with its odd characters visible:\n%s", path, seen)
		}
	}
}

// TestEmptyStates checks that an empty page says what to do, with the command.
func TestEmptyStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "the-admin")
	for path, want := range map[string][]string{
		"/":                       {"no host is managed yet", "No tap yet.", "rind tap add office", "No job has run yet.", "No DNS seen yet.", "No traffic in this time range."},
		"/hosts":                  {"No host is managed yet.", "rind enroll token"},
		"/hosts?match=web-*":      {"No host matches."},
		"/jobs":                   {"rind '*' test.ping"},
		"/events":                 {"No event in this time range.", "rind event send deploy.done"},
		"/events?name=disk.*":     {"No event matches", "Clear the filter"},
		"/events?name=[":          {"no glob of events' names"},
		"/flows":                  {"rind-tap read --to node capture.pcap"},
		"/flows?addr=192.0.2.0/8": {"No flow matches", "clear the filter"},
		"/dns":                    {"getent hosts example.org"},
		"/tls":                    {"curl -sI https://example.org"},
		"/records":                {"No records yet.", "rind-tap read --to node capture.pcap", "wifi_networks"},
		"/records/http":           {"No http records in this time range.", "rind-tap read --to node capture.pcap"},
		"/records/http?host=*.a":  {"No record matches", "Clear the filter"},
		"/records/http?client=no": {"is no address"},
		"/taps":                   {"No tap yet.", "rind tap add office", "No gap in this time range."},
		"/enrollment":             {"Nothing waits.", "rind enroll token"},
		"/account":                {"No token yet.", "rind login https://"},
	} {
		status, page, _ := c.get(path)
		seen := text(t, page)
		for _, s := range want {
			if status != http.StatusOK || !strings.Contains(seen, s) {
				t.Errorf("%s: %d, and %q is not in: %s", path, status, s, seen)
			}
		}
	}
}

// TestWhatMattersFirst checks what the overview says when something is wrong,
// and when nothing is.
func TestWhatMattersFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-viewer")
	_, page, _ := c.get("/")
	seen := text(t, page)
	at := -1
	for _, want := range []string{"no report for more than a minute from branch", "packets were dropped by rack-2 < 0.01 % (12 350 packets)", "1 host is not connected: build-02", "1 gap in this time range; branch saw nothing for 47.0 s, until 40 min ago", "2 hosts wait for a decision", "hosts connected 10 of 12"} {
		i := strings.Index(seen, want)
		if i < 0 || i < at {
			t.Errorf("%q is missing, or not in its place, in: %s", want, seen)
		}
		at = max(at, i)
	}
	w.fleet.peels = slices.DeleteFunc(w.fleet.peels, func(p fleet.Peel) bool { return p.Presence != "connected" })
	w.enroll.records, w.taps.taps, w.traffic.losses, w.traffic.gaps = nil, w.taps.taps[:1], w.traffic.losses[:1], nil
	if _, page, _ = c.get("/"); !strings.Contains(text(t, page), "All well") {
		t.Errorf("nothing is wrong, but: %s", text(t, page))
	}
}

func TestErrorPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	viewer := w.as(t, "the-viewer")
	for _, x := range []struct {
		path   string
		status int
		want   string
	}{
		{"/nothing/here", 404, "There is no page at this address."},
		{"/hosts/nobody", 404, "No peel nobody is known; rind peel list shows all."},
		{"/hosts/A.B", 404, "not a valid peel id"},
		{"/jobs/x", 404, "a job's id looks like"},
		{"/jobs/" + jid(99), 404, "rind job list"},
		{"/events/changes?topics=all", 400, "peels, network and events"},
		{"/static/nothing.css", 404, "no such file"},
		{"/static/static.go", 404, "no such file"},
	} {
		status, page, _ := viewer.get(x.path)
		if status != x.status || !strings.Contains(text(t, page), x.want) {
			t.Errorf("%s: %d %s, want %d with %q", x.path, status, text(t, page), x.status, x.want)
		}
	}
	if status, page, _ := viewer.post("/jobs", url.Values{"target": {"*"}}); status != http.StatusForbidden || !strings.Contains(text(t, page), "ask an administrator for the role operator") {
		t.Errorf("a viewer who runs a job: %d %s", status, text(t, page))
	}
	w.fleet.fail = fmt.Errorf("secret detail of the master")
	status, page, _ := viewer.get("/hosts")
	if seen := text(t, page); status != http.StatusInternalServerError || strings.Contains(seen, "secret detail") || !strings.Contains(seen, "request=") {
		t.Errorf("an internal error: %d %s", status, seen)
	}
}

// TestWithoutNPM serves the pages as a server does that was built without npm.
func TestWithoutNPM(t *testing.T) {
	t.Parallel()
	bare := fstest.MapFS{}
	for _, name := range []string{"base.css", "app.js", "logo.svg"} {
		b, err := fs.ReadFile(static.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		bare[name] = &fstest.MapFile{Data: b}
	}
	w := newWorldFrom(t, bare)
	w.populate(time.Now())
	c := w.as(t, "the-admin")
	for _, path := range everyPage {
		status, page, _ := c.get(path)
		checkMarkup(t, path, page)
		if status != http.StatusOK || strings.Contains(page, "/static/vendor/") || strings.Contains(page, "sse-connect") {
			t.Errorf("%s: %d, and asks for what is not there", path, status)
		}
		if !strings.Contains(text(t, page), "this server was built without npm") {
			t.Errorf("%s does not say that charts and live updates are off", path)
		}
	}
	if _, page, _ := c.get("/"); strings.Count(page, "<rect x=") < 50 {
		t.Error("the overview has no chart without scripts")
	}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.nobody(t)
	for path, kind := range map[string]string{"/static/base.css": "text/css; charset=utf-8", "/static/app.js": "text/javascript; charset=utf-8", "/static/logo.svg": "image/svg+xml", "/static/page/overview/style.css": "text/css; charset=utf-8"} {
		status, _, h := c.get(path)
		if status != http.StatusOK || h.Get("Content-Type") != kind || h.Get("ETag") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, status, h)
		}
		if status, _, _ := c.get(path, "If-None-Match", h.Get("ETag")); status != http.StatusNotModified {
			t.Errorf("%s again: %d", path, status)
		}
	}
}

// TestRefresh checks that htmx is given the middle of the page only.
func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	_, page, h := w.as(t, "the-viewer").get("/", "HX-Request", "true")
	if strings.Contains(page, "<html") || strings.Contains(page, `class="places"`) || !strings.Contains(page, `id="talkers"`) || h.Get("Vary") != "HX-Request" {
		t.Errorf("a refresh is the whole page, or too little: %.300s", page)
	}
}
