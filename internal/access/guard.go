package access

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/rind-project/rind/internal/base/errs"
)

// GuardOptions is what a guard may be told.
type GuardOptions struct {
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// TrustedOrigins are further origins, as "https://rind.example.org",
	// whose pages may send requests with the cookie.
	TrustedOrigins []string
	// LoginPath is where a browser without a session is sent; "" sends it
	// nowhere.
	LoginPath string
	// PasswordPath is where a browser is sent whose user has to change a
	// one-time password; "" sends it nowhere.
	PasswordPath string
	// Refuse answers a refused request for a page; nil answers in plain text.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
}

// Guard stands in front of every route. Use NewGuard.
type Guard struct {
	service *Service
	opts    GuardOptions
	origin  *http.CrossOriginProtection
	uid     int
	hinted  sync.Once
}

// NewGuard makes a guard. It panics when an origin is malformed, like Mount
// when a route is.
func NewGuard(s *Service, opts GuardOptions) *Guard {
	g := &Guard{service: s, opts: opts, origin: http.NewCrossOriginProtection(), uid: os.Geteuid()}
	for _, o := range opts.TrustedOrigins {
		if err := g.origin.AddTrustedOrigin(o); err != nil {
			panic(err)
		}
	}
	return g
}

// Mount adds the routes, each behind the guard. It panics at a route that does
// not say who may call it: that is a defect of the program, and must not start
// to serve.
func (g *Guard) Mount(mux *http.ServeMux, routes []Route) {
	for _, r := range routes {
		if err := r.check(); err != nil {
			panic(err)
		}
		mux.Handle(r.Method+" "+r.Pattern, g.wrap(r))
	}
}

// wrap puts the guard in front of a route.
func (g *Guard) wrap(route Route) http.Handler {
	limit := route.MaxBody
	if limit == 0 && route.Need != TapToken {
		limit = defaultMaxBody
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr := clientAddr(r, g.opts.TrustedProxies)
		g.hint(r, addr)
		ctx := withAddr(r.Context(), addr)
		if limit > 0 {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		ctx, cancel, err := g.admit(r.WithContext(ctx), route)
		if err != nil {
			g.refuse(w, r, err)
			return
		}
		defer cancel()
		if route.Need > TapToken {
			w.Header().Set("Cache-Control", "no-store")
		}
		route.Handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

// hint tells the operator, once, about a proxy that is not trusted: behind it
// all clients are one address, and share its tries to log in.
func (g *Guard) hint(r *http.Request, addr netip.Addr) {
	if r.Header.Get("X-Forwarded-For") == "" || !addr.IsValid() || addr != parseAddr(r.RemoteAddr) {
		return
	}
	g.hinted.Do(func() {
		g.service.log.Warn("X-Forwarded-For is not believed; if it comes from your own proxy, add its address to the trusted proxies", "from", addr)
	})
}

// admit decides, and returns the context for the handler.
func (g *Guard) admit(r *http.Request, route Route) (context.Context, context.CancelFunc, error) {
	ctx, nothing := r.Context(), func() {}
	bearer := bearerToken(r)
	// A request that a browser sent on behalf of another site is refused
	// before anything else. What has a bearer token was not sent by a page.
	if bearer == "" {
		if err := g.origin.Check(r); err != nil {
			return nil, nil, refusal{"cross_origin", errs.New(errs.Forbidden,
				"the request comes from a page of another site; open this server's own pages, or use an API token")}
		}
	}
	switch route.Need {
	case Public:
		return withLookup(ctx, func() (Principal, bool) {
			p, err := g.authenticate(r, bearer)
			return p, err == nil
		}), nothing, nil
	case TapToken:
		if bearer == "" {
			return nil, nil, unauthenticated("this needs a tap's token; make one with: rind tap add NAME")
		}
		return ctx, nothing, nil
	}
	p, err := g.authenticate(r, bearer)
	if err != nil {
		return nil, nil, err
	}
	if p.MustChange && !route.FirstLogin {
		return nil, nil, refusal{reasonMustChange, errMustChange()}
	}
	if p.Role < route.Need.role() {
		return nil, nil, refusal{"forbidden", errs.New(errs.Forbidden,
			"the role %s of %s may not do this; ask an administrator for the role %s", p.Role, p.Name, route.Need)}
	}
	ctx = WithPrincipal(ctx, p)
	if p.Expires.IsZero() {
		return ctx, nothing, nil
	}
	// A stream of events must not outlive the session that opened it.
	ctx, cancel := context.WithTimeout(ctx, p.Expires.Sub(g.service.now()))
	return ctx, cancel, nil
}

// authenticate finds out who is asking: by the bearer token when there is one,
// else by the peer of the unix socket, else by the cookie. A bad token is
// refused, whatever else there is.
func (g *Guard) authenticate(r *http.Request, bearer string) (Principal, error) {
	ctx := r.Context()
	var p Principal
	var err error
	peer, onSocket := ctx.Value(peerKey{}).(peer)
	switch {
	case bearer != "":
		p, err = g.service.Token(ctx, bearer)
	case onSocket && peer.err != nil:
		err = errs.New(errs.Unauthorized, "the peer of the unix socket is not known: %w", peer.err)
	case onSocket:
		p, err = g.service.PrincipalForUID(ctx, peer.uid, g.uid)
	case CookieSecret(r) != "":
		p, err = g.service.Session(ctx, CookieSecret(r))
	default:
		return Principal{}, unauthenticated("no session and no token; log in, or run: rind login https://" + hostOf(r))
	}
	switch errs.KindOf(err) {
	case errs.Unauthorized:
		return Principal{}, refusal{"unauthenticated", err}
	case errs.Forbidden:
		return Principal{}, refusal{"forbidden", err}
	}
	return p, err
}

// refusal is an error with the reason under which it is counted.
type refusal struct {
	reason string
	error
}

// Unwrap gives the error with the kind.
func (r refusal) Unwrap() error { return r.error }

func unauthenticated(msg string) error {
	return refusal{"unauthenticated", errs.New(errs.Unauthorized, "%s", msg)}
}

// bearerToken is the token of the Authorization header, or "".
func bearerToken(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// hostOf is the server's name as the client wrote it, when it can stand in a
// message.
func hostOf(r *http.Request) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"
	if r.Host == "" || len(r.Host) > 255 || strings.Trim(r.Host, allowed) != "" {
		return "SERVER:8443"
	}
	return r.Host
}
