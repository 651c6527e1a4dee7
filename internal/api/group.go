package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Groups are the named groups of hosts.
type Groups interface {
	List(context.Context) ([]fleet.Group, error)
	Show(ctx context.Context, name string) (fleet.Group, error)
	Set(ctx context.Context, name, target, by string) (fleet.Group, error)
	Delete(ctx context.Context, name string) error
}

func (a *API) groups() (Groups, error) {
	if a.deps.Groups == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	return a.deps.Groups, nil
}

func (a *API) groupRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.Empty, wire.GroupsOut]{
			method: http.MethodGet, path: "/groups", need: access.NeedViewer,
			summary: "list the named groups of hosts",
			run: func(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.GroupsOut, error) {
				g, err := a.groups()
				if err != nil {
					return wire.GroupsOut{}, err
				}
				all, err := g.List(ctx)
				page, _ := cut(all, len(all))
				return wire.GroupsOut{Groups: page}, err
			},
		}),
		route(a, op[wire.GroupName, fleet.Group]{
			method: http.MethodGet, path: "/groups/{name}", need: access.NeedViewer,
			summary: "show what a named group stands for",
			run: func(ctx context.Context, _ *http.Request, in wire.GroupName) (fleet.Group, error) {
				g, err := a.groups()
				if err != nil {
					return fleet.Group{}, err
				}
				return g.Show(ctx, in.Name)
			},
		}),
		route(a, op[wire.GroupIn, fleet.Group]{
			method: http.MethodPut, path: "/groups/{name}", need: access.NeedOperator,
			summary: "make a named group, or change what it stands for", action: "group.set",
			object: func(in wire.GroupIn, _ fleet.Group) (string, string) { return in.Name, clip(in.Target, 4<<10) },
			run: func(ctx context.Context, _ *http.Request, in wire.GroupIn) (fleet.Group, error) {
				g, err := a.groups()
				if err != nil {
					return fleet.Group{}, err
				}
				return g.Set(ctx, in.Name, in.Target, who(ctx))
			},
		}),
		route(a, op[wire.GroupName, wire.Empty]{
			method: http.MethodDelete, path: "/groups/{name}", need: access.NeedOperator,
			summary: "delete a named group that nothing else names", action: "group.delete",
			object: func(in wire.GroupName, _ wire.Empty) (string, string) { return in.Name, "" },
			run: func(ctx context.Context, _ *http.Request, in wire.GroupName) (wire.Empty, error) {
				g, err := a.groups()
				if err != nil {
					return wire.Empty{}, err
				}
				return wire.Empty{}, g.Delete(ctx, in.Name)
			},
		}),
	}
}
