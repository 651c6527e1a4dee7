// Package basket holds the functions with which peels share named values.
package basket

import (
	"context"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions basket.*.
func Runs() map[string]schema.Run {
	return map[string]schema.Run{"basket.get": get, "basket.put": put, "basket.remove": remove, "basket.list": list}
}

func get(ctx context.Context, c schema.Call) (schema.Result, error) {
	values, err := basket.Get(ctx, c.Host, c.Args.Text("target"), c.Args.Text("name"))
	return schema.Result{Value: values}, err
}

func put(ctx context.Context, c schema.Call) (schema.Result, error) {
	value, err := fleet.ParseValue(c.Args.Text("value"))
	if err != nil {
		return schema.Result{}, errs.New(errs.Invalid, "the value cannot be shared: %w", err)
	}
	err = basket.Set(ctx, c.Host, basket.Put{Name: c.Args.Text("name"), Value: value})
	return schema.Result{Value: true}, err
}

func remove(ctx context.Context, c schema.Call) (schema.Result, error) {
	removed, err := basket.Remove(ctx, c.Host, c.Args.Text("name"))
	return schema.Result{Value: removed}, err
}

func list(ctx context.Context, c schema.Call) (schema.Result, error) {
	items, err := basket.List(ctx, c.Host)
	return schema.Result{Value: items}, err
}
