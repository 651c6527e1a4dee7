// Package settings holds the functions that answer from the host's settings.
package settings

import (
	"context"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// Runs are the functions settings.*.
func Runs() map[string]schema.Run {
	return map[string]schema.Run{"settings.items": items, "settings.get": get, "settings.refresh": refresh}
}

func items(ctx context.Context, c schema.Call) (schema.Result, error) {
	_, values, err := c.Host.Settings(ctx, false)
	if values == nil {
		values = settings.Values{}
	}
	return schema.Result{Value: values}, err
}

// get finds a value. Colons in the place of dots are known to many hands.
func get(ctx context.Context, c schema.Call) (schema.Result, error) {
	_, values, err := c.Host.Settings(ctx, false)
	if err != nil {
		return schema.Result{}, err
	}
	key := c.Args.Text("key")
	v, ok := settings.Get(values, key)
	if !ok {
		v, ok = settings.Get(values, strings.ReplaceAll(key, ":", "."))
	}
	if !ok && c.Args.Has("default") {
		v, ok = c.Args.Text("default"), true
	}
	if !ok {
		return schema.Result{}, errs.New(errs.NotFound, "there is no setting %s%s", schema.Clip(key), schema.DidYouMean(key, settings.Keys(values)))
	}
	return schema.Result{Value: v}, nil
}

func refresh(ctx context.Context, c schema.Call) (schema.Result, error) {
	before, _, err := c.Host.Settings(ctx, false)
	if err != nil {
		return schema.Result{}, err
	}
	after, _, err := c.Host.Settings(ctx, true)
	return schema.Result{Value: map[string]any{"revision": after, "changed": before != after}}, err
}
