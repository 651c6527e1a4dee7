package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/member"
)

// Members lets further servers into the fleet.
type Members interface {
	CreateToken(context.Context, member.TokenRequest) (member.Token, error)
	Join(ctx context.Context, req member.Request, addr netip.Addr, host string) (member.Gift, error)
}

func (a *API) members() (Members, error) {
	if a.deps.Members == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master, and lets no other one in: ask one whose roles include bus and master")
	}
	return a.deps.Members, nil
}

// serverRoutes are for servers that join. Joining is public: what a server may
// do follows from its token. Only who was let in stands in the audit trail, so
// that strangers cannot fill it.
func (a *API) serverRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.ServerTokenIn, wire.ServerTokenOut]{
			method: http.MethodPost, path: "/servers/tokens", need: access.NeedAdmin,
			summary: "make a token with which one further server may join the fleet", action: "server.token",
			object: func(in wire.ServerTokenIn, out wire.ServerTokenOut) (string, string) {
				return out.ID, strings.Join(in.Roles, " ")
			},
			run: a.makeServerToken,
		}),
		route(a, op[member.Request, member.Gift]{
			method: http.MethodPost, path: "/servers/join", need: access.Public,
			summary: "join the fleet as a further server (servers do this)", maxBody: member.MaxRequest,
			run: func(ctx context.Context, r *http.Request, in member.Request) (member.Gift, error) {
				m, err := a.members()
				if err != nil {
					return member.Gift{}, err
				}
				gift, err := m.Join(ctx, in, access.ClientAddr(r), hostName(r))
				if err == nil {
					a.audit(r, "server.join", subject{in.Host, strings.Join(gift.Roles, " ")}, nil)
				}
				return gift, err
			},
		}),
	}
}

func (a *API) makeServerToken(ctx context.Context, r *http.Request, in wire.ServerTokenIn) (wire.ServerTokenOut, error) {
	m, err := a.members()
	if err != nil {
		return wire.ServerTokenOut{}, err
	}
	t, err := m.CreateToken(ctx, member.TokenRequest{TTL: time.Duration(in.TTL), Roles: in.Roles, By: who(ctx)})
	if err != nil {
		return wire.ServerTokenOut{}, err
	}
	return wire.ServerTokenOut{ID: t.ID, Token: t.Secret, Roles: t.Roles, Expires: t.Expires, Join: a.join(r, "rind server join", t.Secret)}, nil
}
