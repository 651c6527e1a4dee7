package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/version"
)

func (a *API) systemRoutes() []access.Route {
	return []access.Route{
		{
			Method: http.MethodGet, Pattern: prefix + "/events", Need: access.NeedViewer,
			Summary: "follow what changes: each event names a list that is worth asking for again",
			Out:     endpoint.Stream{"peels": wire.Change{}, "jobs": wire.Change{}, "network": wire.Change{}},
			Handler: http.HandlerFunc(a.followChanges),
		},
		route(a, op[wire.Empty, map[string]any]{
			method: http.MethodGet, path: "/openapi.json", need: access.Public,
			summary: "describe this API as an OpenAPI 3.1 document",
			run: func(context.Context, *http.Request, wire.Empty) (map[string]any, error) {
				return a.document(), nil
			},
		}),
		route(a, op[wire.Empty, version.Info]{
			method: http.MethodGet, path: "/version", need: access.NeedViewer,
			summary: "show which build of the server answers",
			run: func(context.Context, *http.Request, wire.Empty) (version.Info, error) {
				return a.deps.Version, nil
			},
		}),
	}
}
