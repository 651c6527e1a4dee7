package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
)

func (a *API) sessionRoutes() []access.Route {
	return []access.Route{
		{
			Method: http.MethodPost, Pattern: prefix + "/login", Need: access.Public,
			Summary: "log in with a name and a password; sets the session's cookie",
			In:      wire.LoginIn{}, Out: access.Principal{}, Handler: http.HandlerFunc(a.login),
		},
		{
			Method: http.MethodPost, Pattern: prefix + "/logout", Need: access.Public,
			Summary: "end the session of the cookie", Handler: http.HandlerFunc(a.logout),
		},
		route(a, op[wire.Empty, access.Principal]{
			method: http.MethodGet, path: "/whoami", need: access.NeedViewer,
			summary: "show who is asking", firstLogin: true, run: whoAmI,
		}),
		route(a, op[wire.OwnPasswordIn, wire.Empty]{
			method: http.MethodPost, path: "/password", need: access.NeedViewer,
			summary: "change the caller's password; ends all their sessions", action: "user.password",
			firstLogin: true, own: true,
			run: func(ctx context.Context, r *http.Request, in wire.OwnPasswordIn) (wire.Empty, error) {
				p, _ := access.PrincipalFrom(ctx)
				return wire.Empty{}, a.deps.Access.ChangePassword(ctx, p, in.Old, in.New, access.ClientAddr(r))
			},
		}),
	}
}

// login keeps its own trail in package access: each try stands in it.
func (a *API) login(w http.ResponseWriter, r *http.Request) {
	var in wire.LoginIn
	if err := endpoint.Decode(r, &in); err != nil {
		a.fail(w, r, err)
		return
	}
	secret, p, err := a.deps.Access.Login(r.Context(), in.Name, in.Password, access.ClientAddr(r))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	http.SetCookie(w, a.deps.Access.Cookie(secret))
	endpoint.WriteJSON(w, http.StatusOK, p)
}

func (a *API) logout(w http.ResponseWriter, r *http.Request) {
	if err := endpoint.Decode(r, &wire.Empty{}); err != nil {
		a.fail(w, r, err)
		return
	}
	if secret := access.CookieSecret(r); secret != "" {
		if err := a.deps.Access.Logout(r.Context(), secret); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	http.SetCookie(w, a.deps.Access.GoneCookie())
	answer(w, wire.Empty{})
}

func whoAmI(ctx context.Context, _ *http.Request, _ wire.Empty) (access.Principal, error) {
	p, ok := access.PrincipalFrom(ctx)
	if !ok {
		return access.Principal{}, errs.New(errs.Unauthorized, "nobody known is asking; log in first")
	}
	return p, nil
}
