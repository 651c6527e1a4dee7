// Package test holds the functions that try the way to a host and back.
package test

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions test.*.
func Runs() map[string]schema.Run {
	return map[string]schema.Run{
		"test.ping": func(context.Context, schema.Call) (schema.Result, error) { return schema.Result{Value: true}, nil },
		"test.echo": func(_ context.Context, c schema.Call) (schema.Result, error) {
			return schema.Result{Value: c.Args.Text("text")}, nil
		},
		"test.fail": func(_ context.Context, c schema.Call) (schema.Result, error) {
			return schema.Result{Failed: c.Args.Text("message"), ExitCode: c.Args.Int("code")}, nil
		},
		"test.sleep": sleep,
		"test.version": func(_ context.Context, c schema.Call) (schema.Result, error) {
			return schema.Result{Value: c.Host.Version()}, nil
		},
	}
}

func sleep(ctx context.Context, c schema.Call) (schema.Result, error) {
	d := c.Args.Duration("time")
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return schema.Result{Value: d.String()}, nil
	case <-ctx.Done():
		return schema.Result{}, context.Cause(ctx)
	}
}
