package api

import (
	"context"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// maxReport is what the document says of a report's size; package ingest has
// the last word.
const maxReport = 16 << 20

func (a *API) tapRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.TapsIn, wire.TapsOut]{
			method: http.MethodGet, path: "/taps", need: access.NeedViewer,
			summary: "list the taps with their health and their loss", run: a.listTaps,
		}),
		route(a, op[wire.TapIn, wire.TapOut]{
			method: http.MethodPost, path: "/taps", need: access.NeedAdmin,
			summary: "add a tap", action: "tap.add",
			object: func(in wire.TapIn, _ wire.TapOut) (string, string) { return in.Name, in.Tenant },
			run:    a.addTap,
		}),
		route(a, op[wire.TapTenantIn, wire.Empty]{
			method: http.MethodPut, path: "/taps/{name}/tenant", need: access.NeedAdmin,
			summary: "give a tap, and what it reported, to a tenant", action: "tap.tenant",
			object: func(in wire.TapTenantIn, _ wire.Empty) (string, string) { return in.Name, in.Tenant },
			run:    a.giveTap,
		}),
		route(a, op[wire.TapRotateIn, wire.TapOut]{
			method: http.MethodPost, path: "/taps/{name}/rotate", need: access.NeedAdmin,
			summary: "give a tap a new token; the old one is refused at once", action: "tap.rotate",
			object: func(in wire.TapRotateIn, _ wire.TapOut) (string, string) { return in.Name, "" },
			run:    a.rotateTap,
		}),
		route(a, op[wire.TapName, wire.Empty]{
			method: http.MethodDelete, path: "/taps/{name}", need: access.NeedAdmin,
			summary: "revoke a tap's token; what it reported stays", action: "tap.revoke",
			object: func(in wire.TapName, _ wire.Empty) (string, string) { return in.Name, "" },
			run:    a.revokeTap,
		}),
		{
			Method: http.MethodPost, Pattern: prefix + "/reports", Need: access.TapToken,
			Summary: "deliver a report (taps do this; other programs may send it as application/json, with gzip or zstd)",
			In:      endpoint.Raw{ContentType: "application/x-rind-report", MaxBytes: maxReport},
			Out:     wire.ReportOut{}, Handler: http.HandlerFunc(a.takeReport),
		},
	}
}

func (a *API) takeReport(w http.ResponseWriter, r *http.Request) {
	if a.deps.Reports == nil {
		_, err := a.taps()
		if err == nil {
			err = errs.New(errs.Unavailable, "this server takes no reports")
		}
		a.fail(w, r, err)
		return
	}
	a.deps.Reports.ServeHTTP(w, r)
}

func (a *API) listTaps(ctx context.Context, _ *http.Request, in wire.TapsIn) (wire.TapsOut, error) {
	t, err := a.taps()
	if err != nil {
		return wire.TapsOut{}, err
	}
	var after network.TapID
	if in.After != "" {
		if after, err = tapID(in.After); err != nil {
			return wire.TapsOut{}, err
		}
	}
	if in.Tenant != "" && !store.ValidTenant(in.Tenant) {
		return wire.TapsOut{}, tenantName(in.Tenant)
	}
	// One more than the page tells whether there is a next one.
	all, err := t.TapPage(ctx, in.Tenant, after, in.Limit+1)
	if err != nil {
		return wire.TapsOut{}, err
	}
	page, more := cut(all, in.Limit)
	out := wire.TapsOut{Taps: page}
	if more {
		out.Next = string(page[len(page)-1].Name)
	}
	return out, nil
}

func (a *API) addTap(ctx context.Context, r *http.Request, in wire.TapIn) (wire.TapOut, error) {
	if in.Tenant != "" && !store.ValidTenant(in.Tenant) {
		return wire.TapOut{}, tenantName(in.Tenant)
	}
	return a.giveToken(r, in.Name, func(t Taps) (string, error) {
		return t.AddTapOf(ctx, in.Tenant, in.Name, time.Duration(in.TTL))
	})
}

func (a *API) giveTap(ctx context.Context, _ *http.Request, in wire.TapTenantIn) (wire.Empty, error) {
	t, err := a.taps()
	if err != nil {
		return wire.Empty{}, err
	}
	if _, err := tapID(in.Name); err != nil {
		return wire.Empty{}, err
	}
	if !store.ValidTenant(in.Tenant) {
		return wire.Empty{}, tenantName(in.Tenant)
	}
	return wire.Empty{}, t.GiveTap(ctx, in.Name, in.Tenant)
}

func tenantName(s string) error {
	return errs.New(errs.Invalid, "%.64q cannot be the name of a tenant: use 1 to 63 characters of a-z, 0-9, _ and -", s)
}

func (a *API) rotateTap(ctx context.Context, r *http.Request, in wire.TapRotateIn) (wire.TapOut, error) {
	return a.giveToken(r, in.Name, func(t Taps) (string, error) { return t.RotateTap(ctx, in.Name, time.Duration(in.TTL)) })
}

// giveToken answers with the token that a tap was given, and with the command
// that takes it there.
func (a *API) giveToken(r *http.Request, name string, give func(Taps) (string, error)) (wire.TapOut, error) {
	t, err := a.taps()
	if err != nil {
		return wire.TapOut{}, err
	}
	if _, err := tapID(name); err != nil {
		return wire.TapOut{}, err
	}
	token, err := give(t)
	if err != nil {
		return wire.TapOut{}, err
	}
	return wire.TapOut{Name: name, Token: token, Join: a.join(r, "rind-tap join", token)}, nil
}

func (a *API) revokeTap(ctx context.Context, _ *http.Request, in wire.TapName) (wire.Empty, error) {
	t, err := a.taps()
	if err != nil {
		return wire.Empty{}, err
	}
	if _, err := tapID(in.Name); err != nil {
		return wire.Empty{}, err
	}
	return wire.Empty{}, t.RevokeTap(ctx, in.Name)
}

// tapID parses the name of a tap that came from a client.
func tapID(s string) (network.TapID, error) {
	id := network.TapID(s)
	if !id.Valid() {
		return "", errs.New(errs.Invalid, "%.64q cannot be the name of a tap: use 1 to 63 characters of a-z, 0-9, _ and -", s)
	}
	return id, nil
}
