package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master"
)

func (a *API) peelRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.PeelsIn, wire.PeelsOut]{
			method: http.MethodGet, path: "/peels", need: access.NeedViewer,
			summary: "list the managed hosts", run: a.listPeels,
		}),
		route(a, op[wire.PeelIn, fleet.Peel]{
			method: http.MethodGet, path: "/peels/{id}", need: access.NeedViewer,
			summary: "show a managed host with its facts", run: a.showPeel,
		}),
		route(a, op[wire.TargetIn, wire.TargetOut]{
			method: http.MethodGet, path: "/targets/test", need: access.NeedViewer,
			summary: "say which hosts a target means, and why", run: a.testTarget,
		}),
	}
}

func (a *API) listPeels(ctx context.Context, _ *http.Request, in wire.PeelsIn) (wire.PeelsOut, error) {
	m, err := a.fleet()
	if err != nil {
		return wire.PeelsOut{}, err
	}
	var after fleet.PeelID
	if in.After != "" {
		if after, err = peelID(in.After); err != nil {
			return wire.PeelsOut{}, err
		}
	}
	// One more than the page tells whether there is a next one.
	all, err := m.Peels(ctx, master.PeelQuery{Match: in.Match, Limit: in.Limit + 1, After: after})
	if err != nil {
		return wire.PeelsOut{}, err
	}
	page, more := cut(all, in.Limit)
	out := wire.PeelsOut{Peels: page}
	if more {
		out.Next = string(page[len(page)-1].ID)
	}
	return out, nil
}

func (a *API) showPeel(ctx context.Context, _ *http.Request, in wire.PeelIn) (fleet.Peel, error) {
	m, err := a.fleet()
	if err != nil {
		return fleet.Peel{}, err
	}
	id, err := peelID(in.ID)
	if err != nil {
		return fleet.Peel{}, err
	}
	return m.Peel(ctx, id)
}

func (a *API) testTarget(ctx context.Context, _ *http.Request, in wire.TargetIn) (wire.TargetOut, error) {
	m, err := a.fleet()
	if err != nil {
		return wire.TargetOut{}, err
	}
	var after fleet.PeelID
	if in.After != "" {
		if after, err = peelID(in.After); err != nil {
			return wire.TargetOut{}, err
		}
	}
	t, err := m.TestTarget(ctx, master.PeelQuery{Match: in.Target, Limit: in.Limit + 1, After: after})
	if err != nil {
		return wire.TargetOut{}, err
	}
	page, more := cut(t.Matches, in.Limit)
	out := wire.TargetOut{TargetTest: t}
	out.Matches = page
	if more {
		out.Next = string(page[len(page)-1].ID)
	}
	return out, nil
}

// peelID parses an id that came from a client.
func peelID(s string) (fleet.PeelID, error) {
	id, err := fleet.ParsePeelID(s)
	if err != nil {
		return "", errs.New(errs.Invalid, "%w", err)
	}
	return id, nil
}

// cut shortens a list to a page that is never nil, and says whether more was
// there.
func cut[T any](all []T, limit int) (page []T, more bool) {
	if len(all) > limit {
		return all[:limit], true
	}
	if all == nil {
		all = []T{}
	}
	return all, false
}
