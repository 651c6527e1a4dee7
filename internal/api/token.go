package api

import (
	"context"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
)

// tokenRoutes are for everybody's own tokens; package access lets an
// administrator see and revoke those of others.
func (a *API) tokenRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.Empty, wire.TokensOut]{
			method: http.MethodGet, path: "/tokens", need: access.NeedViewer,
			summary: "list the caller's tokens, everybody's for an administrator",
			run: func(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.TokensOut, error) {
				p, _ := access.PrincipalFrom(ctx)
				all, err := a.deps.Access.ListTokens(ctx, p)
				page, _ := cut(all, len(all))
				return wire.TokensOut{Tokens: page}, err
			},
		}),
		route(a, op[wire.TokenIn, wire.TokenOut]{
			method: http.MethodPost, path: "/tokens", need: access.NeedViewer,
			summary: "make a token for the caller", action: "token.create", own: true,
			object: func(in wire.TokenIn, _ wire.TokenOut) (string, string) { return "", in.Name },
			run:    a.makeToken,
		}),
		route(a, op[wire.TokenID, wire.Empty]{
			method: http.MethodDelete, path: "/tokens/{id}", need: access.NeedViewer,
			summary: "revoke a token of the caller, anybody's for an administrator", action: "token.revoke", own: true,
			object: func(in wire.TokenID, _ wire.Empty) (string, string) { return in.ID, "" },
			run: func(ctx context.Context, _ *http.Request, in wire.TokenID) (wire.Empty, error) {
				p, _ := access.PrincipalFrom(ctx)
				return wire.Empty{}, a.deps.Access.RevokeToken(ctx, p, in.ID)
			},
		}),
		route(a, op[wire.AuditIn, wire.AuditOut]{
			method: http.MethodGet, path: "/audit", need: access.NeedAdmin,
			summary: "list the audit trail, from new to old", run: a.listAudit,
		}),
	}
}

func (a *API) makeToken(ctx context.Context, _ *http.Request, in wire.TokenIn) (wire.TokenOut, error) {
	p, _ := access.PrincipalFrom(ctx)
	role := p.Role
	if in.Role != "" {
		var err error
		if role, err = access.ParseRole(in.Role); err != nil {
			return wire.TokenOut{}, err
		}
	}
	secret, err := a.deps.Access.CreateToken(ctx, p, in.Name, role, time.Duration(in.TTL))
	return wire.TokenOut{Token: secret}, err
}

func (a *API) listAudit(ctx context.Context, _ *http.Request, in wire.AuditIn) (wire.AuditOut, error) {
	all, err := a.deps.Access.AuditList(ctx, in.Limit, in.Before)
	page, _ := cut(all, in.Limit)
	out := wire.AuditOut{Entries: page}
	if len(page) == in.Limit {
		out.Next = page[len(page)-1].ID
	}
	return out, err
}
