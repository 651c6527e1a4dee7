package api

import (
	"context"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Keys rotates the keys that sign.
type Keys interface {
	Rotate(ctx context.Context, kind string) (fleet.KeyRotation, error)
}

func (a *API) keyRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.RotateKeyIn, fleet.KeyRotation]{
			method: http.MethodPost, path: "/keys/{kind}/rotate", need: access.NeedAdmin,
			summary: "have a new key sign; nobody is disconnected, and what the old one signed is good until it ends",
			action:  "key.rotate",
			object: func(in wire.RotateKeyIn, out fleet.KeyRotation) (string, string) {
				if out.Key == "" {
					return in.Kind, ""
				}
				return in.Kind, "the new key is " + out.Key + "; what the old one signed is good until " + out.OldUntil.UTC().Format(time.RFC3339) + " at most"
			},
			run: a.rotateKey,
		}),
	}
}

func (a *API) rotateKey(ctx context.Context, _ *http.Request, in wire.RotateKeyIn) (fleet.KeyRotation, error) {
	if a.deps.Keys == nil {
		return fleet.KeyRotation{}, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	return a.deps.Keys.Rotate(ctx, in.Kind)
}
