package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/httpserver"
	"github.com/rind-project/rind/internal/base/metrics"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/web"
)

// edges is how people and programs get in: one handler behind one guard, on
// HTTPS and on the unix socket.
type edges struct {
	s      *Server
	api    *api.API
	pages  *web.Web
	https  *httpserver.Server
	routes []access.Route
	mux    *http.ServeMux
}

func newEdges(s *Server) *edges {
	e := &edges{s: s, mux: http.NewServeMux()}
	url := publicURL(s.cfg, e.addr)
	apiDeps := api.Deps{
		Access: s.people, PublicURL: url, Pin: s.ca.Pin(), Version: version.Get(), Log: s.log,
		Problems: s.problems,
	}
	webDeps := web.Deps{Access: s.people, PublicURL: url, Pin: s.ca.Pin(), Log: s.log, Metrics: s.reg}
	if s.master != nil {
		apiDeps.Fleet, apiDeps.Enroll, apiDeps.Keys = s.master, s.registrar, keyring{s.daemon}
		apiDeps.Basket, apiDeps.Events, apiDeps.Members = s.basket, s.events, s.desk()
		apiDeps.Backups = &backups{s: s}
		webDeps.Fleet, webDeps.Enroll, webDeps.Events = s.master, s.registrar, s.events
		apiDeps.Groups, apiDeps.Layers, apiDeps.Files = s.groups, s.layers, s.files
	}
	if s.node != nil {
		apiDeps.Network, apiDeps.Taps, apiDeps.Reports = s.node.Store(), s.node.Taps(), s.node.Handler()
		apiDeps.Cluster, webDeps.Cluster = s.node, s.node
		webDeps.Traffic, webDeps.Taps = s.node.Store(), s.node.Taps()
	}
	e.api, e.pages = api.New(apiDeps), web.New(webDeps)
	e.routes = append(append(e.api.Routes(), e.pages.Routes()...), e.ownRoutes()...)
	guard := access.NewGuard(s.people, access.GuardOptions{
		TrustedProxies: s.cfg.HTTPS.TrustedProxies, LoginPath: "/login", PasswordPath: "/account", Refuse: e.pages.Refuse,
	})
	guard.Mount(e.mux, e.routes)
	return e
}

// ownRoutes are for supervisors, balancers and Prometheus.
func (e *edges) ownRoutes() []access.Route {
	routes := []access.Route{
		{Method: http.MethodGet, Pattern: "/healthz", Need: access.Public, Summary: "Whether the process is alive", Handler: e.s.checks.Healthz()},
		{Method: http.MethodGet, Pattern: "/readyz", Need: access.Public, Summary: "Whether the server can do its work", Handler: e.s.checks.Readyz(known)},
		{Method: http.MethodGet, Pattern: "/metrics", Need: access.NeedViewer, Summary: "Metrics for Prometheus", Handler: metrics.Handler(e.s.reg)},
	}
	// Programs that ask for another version of the API get JSON, not a page.
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		routes = append(routes, access.Route{
			Method: m, Pattern: "/api/", Need: access.Public, Summary: "what no version of the API has: not found",
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { endpoint.WriteNotFound(w, r, nil) }),
		})
	}
	return routes
}

// known reports whether a viewer or above asks.
func known(r *http.Request) bool {
	p, ok := access.PrincipalFrom(r.Context())
	return ok && p.Require(access.Viewer, "see why a check fails") == nil
}

func (e *edges) addr() string {
	if e.https == nil {
		return ""
	}
	return e.https.Addr()
}

func (e *edges) httpsServer(conf *tls.Config) *httpserver.Server {
	e.https = httpserver.New(httpserver.Defaults(e.s.cfg.Listen), httpserver.Deps{
		Log: e.s.log, TLS: conf, Handler: guarded(e.mux), Key: "listen", Proxies: e.s.cfg.HTTPS.proxies(), Refused: e.s.refusedProxies(), Draining: e.s.checks.Draining, Hint: "this is the port of API, pages, enrollment and reports (listen), " +
			"which speaks HTTPS only: write https:// before its address; peels and other clients of NATS belong to the bus port (nats.listen)",
	})
	return e.https
}

// socketServer serves the same routes to this machine's own users. The socket
// of a server that was killed is in the way and removed; that no other server
// uses it is known from the lock on the data folder.
func (e *edges) socketServer() (*httpserver.Server, error) {
	path := e.s.cfg.socketPath()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(errs.Forbidden, "removing the old socket: %w; choose another with the key socket", err)
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, httpserver.ListenError(path, "socket", err)
	}
	if err := openSocket(path, e.s.cfg.Group); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return httpserver.New(httpserver.Defaults(path), httpserver.Deps{
		Log: e.s.log, Handler: guarded(e.mux), Listener: ln, Key: "socket", ConnContext: access.UnixPeer,
	}), nil
}

// openSocket lets the members of the group connect. Who they are is asked of
// the kernel at each connection, and what they may, of the users.
func openSocket(path, group string) error {
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return config.Bad("socket_group", "%v", err)
		}
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return errs.New(errs.Forbidden, "giving the socket to the group %s: %w; run as root, or choose one of this user's groups with socket_group", group, err)
		}
	}
	return os.Chmod(path, 0o660)
}

// guarded puts headers on every answer that keep a browser from making more of
// it than it is; pages replace the policy by their own. HSTS is left out on
// purpose: a browser that has once gone past the warning about our own CA could
// not do so again.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
