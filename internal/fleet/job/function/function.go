// Package function is what a job can run on a host: the functions of the
// schema, with their implementations from a package per family.
package function

import (
	"maps"
	"slices"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Function is one function with its implementation.
type Function = schema.Function

// Call is what a function is given.
type Call = schema.Call

// Result is what a function gives.
type Result = schema.Result

// Host is what functions ask of the peel.
type Host = schema.Host

// Panic is the error of a function that panicked.
type Panic = schema.Panic

// Registry finds functions by name.
type Registry struct{ byName map[string]Function }

// NewRegistry makes a registry of functions with different names.
func NewRegistry(all []Function) *Registry {
	r := &Registry{byName: map[string]Function{}}
	for _, f := range all {
		r.byName[f.Name] = f
	}
	return r
}

// Find returns a function. The error for an unknown one names the closest.
func (r *Registry) Find(name string) (Function, error) {
	f, ok := r.byName[name]
	if ok {
		return f, nil
	}
	names := slices.Collect(maps.Keys(r.byName))
	return f, errs.New(errs.NotFound, "there is no function %s%s", schema.Clip(name), schema.DidYouMean(name, names))
}
