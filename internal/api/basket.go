package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
)

// Basket holds what hosts share.
type Basket interface {
	Items(context.Context, holder.Query) (items []fleet.BasketItem, next string, err error)
}

func (a *API) basketRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.BasketIn, wire.BasketOut]{
			method: http.MethodGet, path: "/basket", need: access.NeedViewer,
			summary: "list what hosts share, without the values",
			run: func(ctx context.Context, _ *http.Request, in wire.BasketIn) (wire.BasketOut, error) {
				return a.basketPage(ctx, holder.Query{Target: in.Target, Name: in.Name, After: in.After, Limit: in.Limit})
			},
		}),
		route(a, op[wire.BasketValuesIn, wire.BasketOut]{
			method: http.MethodGet, path: "/basket/{name}", need: access.NeedViewer,
			summary: "show what hosts share under a name",
			run: func(ctx context.Context, _ *http.Request, in wire.BasketValuesIn) (wire.BasketOut, error) {
				return a.basketPage(ctx, holder.Query{Target: in.Target, Name: in.Name, Values: true, After: in.After, Limit: in.Limit})
			},
		}),
	}
}

func (a *API) basketPage(ctx context.Context, q holder.Query) (wire.BasketOut, error) {
	if a.deps.Basket == nil {
		return wire.BasketOut{}, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	items, next, err := a.deps.Basket.Items(ctx, q)
	page, _ := cut(items, len(items))
	return wire.BasketOut{Items: page, Next: next}, err
}
