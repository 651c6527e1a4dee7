// Package facts holds the functions that answer from the host's facts.
package facts

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/facts"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions facts.*.
func Runs() map[string]schema.Run {
	return map[string]schema.Run{
		"facts.items": with(func(f fleet.Facts, _ schema.Values) (any, error) { return f, nil }),
		"facts.ls":    with(func(f fleet.Facts, _ schema.Values) (any, error) { return facts.Keys(f), nil }),
		"facts.get":   with(get),
		"facts.item":  with(item),
		"facts.has":   with(has),
	}
}

// with collects the facts first.
func with(answer func(fleet.Facts, schema.Values) (any, error)) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		f, err := c.Host.Facts(ctx)
		if err != nil {
			return schema.Result{}, err
		}
		value, err := answer(f, c.Args)
		return schema.Result{Value: value}, err
	}
}

func get(f fleet.Facts, args schema.Values) (any, error) {
	v, err := lookup(f, args.Text("key"))
	if err != nil && args.Has("default") {
		return args.Text("default"), nil
	}
	return v, err
}

func item(f fleet.Facts, args schema.Values) (any, error) {
	out := map[string]any{}
	for _, key := range args.List("keys") {
		v, err := lookup(f, key)
		if err != nil {
			return nil, err
		}
		out[key] = v
	}
	return out, nil
}

func has(f fleet.Facts, args schema.Values) (any, error) {
	v, ok := facts.Lookup(f, args.Text("key"))
	if !ok || !args.Has("value") {
		return ok, nil
	}
	if s, text := v.(string); text {
		return s == args.Text("value"), nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("comparing a fact: %w", err)
	}
	return string(b) == args.Text("value"), nil
}

func lookup(f fleet.Facts, key string) (any, error) {
	v, ok := facts.Lookup(f, key)
	if !ok {
		return nil, errs.New(errs.NotFound, "there is no fact %s%s", schema.Clip(key), schema.DidYouMean(key, facts.Keys(f)))
	}
	return v, nil
}
