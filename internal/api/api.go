// Package api is the JSON API under /api/v1. It translates between HTTP and
// the services, and decides nothing itself: who may call a route stands in the
// route table, which package access enforces, and what a call means is the
// service's to say.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/openapi"
	"github.com/rind-project/rind/internal/base/version"
)

// prefix stands before every pattern.
const prefix = "/api/v1"

// Deps are what the API translates for. Fleet, Enroll, Basket, Events, Groups,
// Layers and Files are nil on a server that is no master, Network, Taps and
// Reports on one that is no node; their routes then answer unavailable.
type Deps struct {
	Access    Access
	Fleet     Fleet
	Enroll    Enroll
	Basket    Basket
	Events    Events
	Groups    Groups
	Layers    Layers
	Files     Files
	Members   Members
	Network   Network
	Taps      Taps
	Cluster   Cluster                        // nil on a server that is no node
	Keys      Keys                           // nil on a server that is no master
	Backups   Backups                        // nil on a server that is no master
	Reports   http.Handler                   // takes POST /reports from taps
	Problems  func(context.Context) []string // what does not work just now, in words; optional
	PublicURL func(r *http.Request) string   // how hosts reach this server: "https://host:8443"
	Pin       string                         // of the server's CA, "sha256:…"
	Version   version.Info
	Log       *slog.Logger
	Now       func() time.Time // nil is time.Now
}

// API is the API. Use New.
type API struct {
	deps   Deps
	routes []access.Route

	stopping context.Context // ends when Stop begins, and with it the streams
	stop     context.CancelFunc
	streams  chan struct{} // a place for each open stream
	document func() openapi.Document
}

// maxStreams bounds the open streams of events of one server.
const maxStreams = 1000

// New makes an API that is ready to serve; nothing runs until a request comes.
func New(deps Deps) *API {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{deps: deps, streams: make(chan struct{}, maxStreams)}
	a.stopping, a.stop = context.WithCancel(context.Background())
	for _, list := range [][]access.Route{
		a.peelRoutes(), a.jobRoutes(), a.basketRoutes(), a.eventRoutes(), a.enrollRoutes(), a.joinRoutes(), a.serverRoutes(), a.tapRoutes(),
		a.telemetryRoutes(), a.sessionRoutes(), a.userRoutes(), a.tokenRoutes(), a.systemRoutes(), a.keyRoutes(),
		a.groupRoutes(), a.settingsRoutes(), a.fileRoutes(), a.backupRoutes(), a.clusterRoutes(),
	} {
		a.routes = append(a.routes, list...)
	}
	a.document = sync.OnceValue(a.describe)
	return a
}

// Routes is the route table: what access.Guard mounts.
func (a *API) Routes() []access.Route { return append(slices.Clone(a.routes), a.fallback()...) }

// Start does nothing: an API serves as soon as its routes are mounted.
func (a *API) Start(context.Context) error { return nil }

// Stop ends the open streams of events, so that they do not hold up the HTTP
// server. Other requests go on.
func (a *API) Stop(context.Context) error {
	a.stop()
	return nil
}

// describe makes the document that GET /openapi.json serves.
func (a *API) describe() openapi.Document {
	routes := make([]openapi.Route, len(a.routes))
	for i, r := range a.routes {
		routes[i] = openapi.Route{
			Method: r.Method, Pattern: r.Pattern, Need: r.Need.String(),
			Summary: r.Summary, In: r.In, Out: r.Out,
		}
	}
	return openapi.Generate("Rind", a.deps.Version.Version, routes)
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// fallback answers what no route matches: a JSON error, not net/http's text.
func (a *API) fallback() []access.Route {
	known := http.NewServeMux()
	for _, r := range a.routes {
		known.HandleFunc(r.Method+" "+r.Pattern, func(http.ResponseWriter, *http.Request) {})
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		endpoint.WriteNotFound(w, r, methodsOf(known, r))
	}
	var all []access.Route
	for _, m := range methods {
		all = append(all, access.Route{
			Method: m, Pattern: prefix + "/", Need: access.Public,
			Summary: "what no other route matches: not found", Handler: http.HandlerFunc(serve),
		})
	}
	return all
}

// methodsOf lists the methods that the path of a request does take.
func methodsOf(known *http.ServeMux, r *http.Request) []string {
	var all []string
	for _, m := range methods {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := known.Handler(probe); strings.HasPrefix(pattern, m+" ") {
			all = append(all, m)
		}
	}
	return all
}
