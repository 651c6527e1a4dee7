// Package sys holds the functions that describe the functions.
package sys

import (
	"context"

	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions sys.*.
func Runs() map[string]schema.Run {
	return map[string]schema.Run{"sys.list": list, "sys.doc": doc}
}

func list(_ context.Context, c schema.Call) (schema.Result, error) {
	found, err := schema.Match(schema.All(), c.Args.Text("match"))
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name
	}
	return schema.Result{Value: names}, err
}

// doc returns the documentation of each function that matches.
func doc(_ context.Context, c schema.Call) (schema.Result, error) {
	found, err := schema.Match(schema.All(), c.Args.Text("match"))
	docs := make([]schema.Doc, len(found))
	for i, f := range found {
		docs[i] = f.Document()
	}
	return schema.Result{Value: docs}, err
}
