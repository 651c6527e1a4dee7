// Package web is the browser's way in: pages rendered here from templates, and
// live connections that tell a page what changed. It translates requests to
// the services and their answers to HTML, and decides nothing. Who may see
// which route stands in Routes; access.Guard enforces it.
package web

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/web/live"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/static"
)

// Deps is what the pages show and do. A nil Fleet, Enroll, Events, Traffic or Taps
// means that the role is off on this server, and its pages say so.
type Deps struct {
	Access  Access
	Fleet   Fleet
	Enroll  Enroll
	Events  Events
	Traffic Traffic
	Taps    Taps
	Cluster Cluster // nil is a page of taps without the nodes
	// Reports tells that taps reported; nil is every 10 s, the taps' own pace.
	Reports func(ctx context.Context) <-chan struct{}
	// PublicURL is how hosts reach this server; nil is as the browser does.
	PublicURL func(*http.Request) string
	Pin       string // of the server's CA, for the join commands
	Log       *slog.Logger
	Metrics   prometheus.Registerer // may be nil
	Now       func() time.Time      // may be nil
}

// Web is the pages. It is a component: Stop ends the live connections, which
// would hold up a server that waits for its requests, so it stops before the
// HTTP server does.
type Web struct {
	Deps
	pages *page.Pages
	hub   *live.Hub
}

// New parses the templates. They are part of the binary, so one that does not
// parse is a defect of the build, and New panics.
func New(deps Deps) *Web { return newFrom(deps, static.Files()) }

func newFrom(deps Deps, shared fs.FS) *Web {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	pages, err := page.New(deps.Now, shared)
	if err != nil {
		panic(err)
	}
	return &Web{Deps: deps, pages: pages, hub: live.New(deps.Metrics)}
}

// Start lets live connections in.
func (w *Web) Start(ctx context.Context) error { return w.hub.Start(ctx) }

// Stop ends the live connections.
func (w *Web) Stop(ctx context.Context) error { return w.hub.Stop(ctx) }

// Refuse answers with a page what the guard refuses; it is for
// access.GuardOptions.
func (w *Web) Refuse(rw http.ResponseWriter, r *http.Request, err error) { w.fail(rw, r, err) }

// Routes is the whole URL space of the pages.
func (w *Web) Routes() []access.Route {
	get := func(pattern string, need access.Need, summary string, h handler) access.Route {
		return access.Route{Method: http.MethodGet, Pattern: pattern, Need: need, Summary: summary, Handler: w.handle(h)}
	}
	post := func(pattern string, need access.Need, summary string, h handler) access.Route {
		return access.Route{Method: http.MethodPost, Pattern: pattern, Need: need, Summary: summary, Handler: w.handle(form(h))}
	}
	first := func(r access.Route) access.Route {
		r.FirstLogin = true
		return r
	}
	return []access.Route{
		{Method: http.MethodGet, Pattern: page.StaticPrefix, Need: access.Public, Summary: "Style, scripts and pictures of the pages", Handler: w.pages.Static()},
		get("/", access.Public, "Page for an address that does not exist", w.missing),
		get("/login", access.Public, "Page to log in", w.loginPage),
		post("/login", access.Public, "Log in and begin a session", w.login),
		post("/logout", access.Public, "End the session", w.logout),
		post("/theme", access.Public, "Choose light, dark or automatic colours", w.theme),
		get("/{$}", access.NeedViewer, "Page with the overview", w.overview),
		get("/hosts", access.NeedViewer, "Page with the managed hosts", w.hosts),
		get("/hosts/{id}", access.NeedViewer, "Page of a host", w.host),
		get("/jobs", access.NeedViewer, "Page with the jobs", w.jobs),
		post("/jobs", access.NeedOperator, "Run a job", w.run),
		get("/jobs/{jid}", access.NeedViewer, "Page of a job", w.job),
		post("/jobs/{jid}", access.NeedOperator, "Cancel, pause, resume or retry a job", w.control),
		get("/events", access.NeedViewer, "Page with the events", w.eventList),
		get("/flows", access.NeedViewer, "Page with the flows", w.flows),
		get("/dns", access.NeedViewer, "Page with the DNS queries", w.dns),
		get("/tls", access.NeedViewer, "Page with the TLS handshakes", w.tls),
		get("/records", access.NeedViewer, "Page with the kinds of records", w.records),
		get("/records/{kind}", access.NeedViewer, "Page with the records of one kind", w.recordList),
		get("/taps", access.NeedViewer, "Page with the taps, their loss and gaps", w.taps),
		post("/taps", access.NeedAdmin, "Add a tap and show its join command once", w.addTap),
		post("/taps/{name}", access.NeedAdmin, "Give a tap a new token, or revoke it", w.changeTap),
		get("/enrollment", access.NeedViewer, "Page with the enrollments", w.enrollment),
		post("/tasks/{id}", access.NeedAdmin, "Have a task that failed tried again", w.retryTask),
		post("/enrollment", access.NeedAdmin, "Make an enrollment token and show its join command once", w.createToken),
		post("/enrollment/{id}", access.NeedAdmin, "Decide on an enrollment", w.decide),
		first(get("/account", access.NeedViewer, "Page of one's own account", w.account)),
		first(post("/account/password", access.NeedViewer, "Change one's own password", w.changePassword)),
		post("/account/tokens", access.NeedViewer, "Make an API token and show it once", w.makeToken),
		post("/account/tokens/revoke", access.NeedViewer, "Revoke an API token", w.revokeToken),
		get("/users", access.NeedAdmin, "Page with the users", w.users),
		post("/users", access.NeedAdmin, "Make a user", w.makeUser),
		post("/users/{name}", access.NeedAdmin, "Change a user's role or password, or delete the user", w.changeUser),
		get("/audit", access.NeedAdmin, "Page with the audit trail", w.auditTrail),
		get("/events/changes", access.NeedViewer, "Live: what changed", w.changes),
		get("/events/jobs/{jid}", access.NeedViewer, "Live: the returns of a job as they arrive", w.jobEvents),
	}
}

// HasVendor reports whether the browser libraries are in the binary.
func (w *Web) HasVendor() bool { return w.pages.Vendor() }
