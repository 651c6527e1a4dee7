package function

import (
	"context"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/facts"
)

func testPing() Function {
	return Function{
		Name: "test.ping", ReadOnly: true,
		Doc: "Answers true: the peel is there and takes jobs.",
		Run: func(context.Context, Call) (Result, error) { return Result{Value: true}, nil },
	}
}

func factsItems() Function {
	return Function{
		Name: "facts.items", ReadOnly: true,
		Doc: "Returns all facts of the host, as they are now.",
		Run: func(ctx context.Context, c Call) (Result, error) {
			f, err := c.Host.Facts(ctx)
			return Result{Value: f}, err
		},
	}
}

func factsGet() Function {
	return Function{
		Name: "facts.get", ReadOnly: true,
		Doc:  "Returns one fact of the host, as it is now.",
		Args: []Arg{{Name: "key", Type: String, Required: true, Doc: "dotted key, such as os or mem.total"}},
		Run: func(ctx context.Context, c Call) (Result, error) {
			f, err := c.Host.Facts(ctx)
			if err != nil {
				return Result{}, err
			}
			key := c.Args.Text("key")
			v, ok := facts.Lookup(f, key)
			if !ok {
				return Result{}, errs.New(errs.NotFound, "there is no fact %s%s", clip(key), didYouMean(key, facts.Keys(f)))
			}
			return Result{Value: v}, nil
		},
	}
}
