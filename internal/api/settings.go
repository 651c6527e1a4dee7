package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// Layers are the layers of settings.
type Layers interface {
	List(context.Context) ([]settings.Layer, error)
	Show(ctx context.Context, name string) (settings.Layer, error)
	Set(context.Context, settings.Layer) (settings.Layer, error)
	Delete(ctx context.Context, name string) error
}

// maxLayerBody is the largest body that sets a layer: its data may grow when it
// is written as a JSON text.
const maxLayerBody = 6*settings.MaxData + 64<<10

func (a *API) layers() (Layers, error) {
	if a.deps.Layers == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	return a.deps.Layers, nil
}

// settingsRoutes are for the layers, and what comes of them. Their data is for
// operators: passwords stand in settings only too often.
func (a *API) settingsRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.Empty, wire.LayersOut]{
			method: http.MethodGet, path: "/settings/layers", need: access.NeedViewer,
			summary: "list the layers of settings in their order, without their data", run: a.listLayers,
		}),
		route(a, op[wire.LayerName, settings.Layer]{
			method: http.MethodGet, path: "/settings/layers/{name}", need: access.NeedOperator,
			summary: "show a layer of settings with its data", run: a.showLayer,
		}),
		route(a, op[wire.LayerIn, settings.Layer]{
			method: http.MethodPut, path: "/settings/layers/{name}", need: access.NeedOperator, maxBody: maxLayerBody,
			summary: "make a layer of settings, or replace it as a whole", action: "settings.layer.set",
			object: func(in wire.LayerIn, _ settings.Layer) (string, string) {
				return in.Name, clip(fmt.Sprintf("order %d target %q, %d bytes", in.Order, in.Target, len(in.Data)), 4<<10)
			},
			run: a.setLayer,
		}),
		route(a, op[wire.LayerName, wire.Empty]{
			method: http.MethodDelete, path: "/settings/layers/{name}", need: access.NeedOperator,
			summary: "delete a layer of settings", action: "settings.layer.delete",
			object: func(in wire.LayerName, _ wire.Empty) (string, string) { return in.Name, "" },
			run: func(ctx context.Context, _ *http.Request, in wire.LayerName) (wire.Empty, error) {
				l, err := a.layers()
				if err != nil {
					return wire.Empty{}, err
				}
				return wire.Empty{}, l.Delete(ctx, in.Name)
			},
		}),
		route(a, op[wire.PeelIn, settings.Effective]{
			method: http.MethodGet, path: "/peels/{id}/settings", need: access.NeedOperator,
			summary: "show the settings of a managed host, and the layer that each value comes from", run: a.showSettings,
		}),
	}
}

func (a *API) listLayers(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.LayersOut, error) {
	l, err := a.layers()
	if err != nil {
		return wire.LayersOut{}, err
	}
	all, err := l.List(ctx)
	page, _ := cut(all, len(all))
	return wire.LayersOut{Layers: page}, err
}

func (a *API) showLayer(ctx context.Context, _ *http.Request, in wire.LayerName) (settings.Layer, error) {
	l, err := a.layers()
	if err != nil {
		return settings.Layer{}, err
	}
	return l.Show(ctx, in.Name)
}

func (a *API) setLayer(ctx context.Context, _ *http.Request, in wire.LayerIn) (settings.Layer, error) {
	l, err := a.layers()
	if err != nil {
		return settings.Layer{}, err
	}
	set, err := l.Set(ctx, settings.Layer{Name: in.Name, Order: in.Order, Target: in.Target, Data: in.Data, By: who(ctx)})
	set.Data = "" // who sent it has it
	return set, err
}

func (a *API) showSettings(ctx context.Context, _ *http.Request, in wire.PeelIn) (settings.Effective, error) {
	m, err := a.fleet()
	if err != nil {
		return settings.Effective{}, err
	}
	id, err := peelID(in.ID)
	if err != nil {
		return settings.Effective{}, err
	}
	return m.Settings(ctx, id)
}
