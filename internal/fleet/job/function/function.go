// Package function is what a job can run on a host: an explicit list of
// functions with one schema each, from which arguments are decoded, errors
// name the closest word, and documentation is made.
package function

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Type is the type of an argument.
type Type string

// The types of arguments.
const (
	String   Type = "string"
	Int      Type = "int"
	Bool     Type = "bool"
	Duration Type = "duration"
)

// Arg is one argument. Required ones are positional and come first; others may
// also be given as name=value.
type Arg struct {
	Name     string
	Type     Type
	Required bool
	Doc      string
}

// Function is one function.
type Function struct {
	Name     string
	Doc      string
	ReadOnly bool // changes nothing on the host
	Args     []Arg
	Run      func(context.Context, Call) (Result, error)
}

// Call is what a function is given. The context ends with the job.
type Call struct {
	Host  Host
	Args  Values
	Limit time.Duration // how long the job may run
}

// Host is what functions ask of the peel.
type Host interface {
	Facts(context.Context) (fleet.Facts, error)
}

// Result is what a function gives. Value goes out as JSON. A function that
// did its work with a bad end, such as a command's exit code, sets Failed.
type Result struct {
	Value    any
	ExitCode int
	Failed   string
}

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

// All returns every function that there is.
func All() []Function {
	return []Function{testPing(), factsItems(), factsGet(), cmdRun()}
}

// Find returns a function. The error for an unknown one names the closest.
func (r *Registry) Find(name string) (Function, error) {
	f, ok := r.byName[name]
	if ok {
		return f, nil
	}
	var names []string
	for n := range r.byName {
		names = append(names, n)
	}
	return f, errs.New(errs.NotFound, "there is no function %s%s", clip(name), didYouMean(name, names))
}

// Do decodes the arguments and runs the function. A panic in it becomes an
// error.
func (f Function) Do(ctx context.Context, host Host, args []string, limit time.Duration) (res Result, err error) {
	values, err := f.decode(args)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{Function: f.Name, Value: fmt.Sprint(p), Stack: string(debug.Stack())}
		}
	}()
	return f.Run(ctx, Call{Host: host, Args: values, Limit: limit})
}

// Panic is the error of a function that panicked.
type Panic struct {
	Function, Value, Stack string
}

// Error returns the message without the stack, which is for the log.
func (p *Panic) Error() string {
	return fmt.Sprintf("%s failed in itself (a defect of the peel): %s", p.Function, p.Value)
}

// usage is the function with its arguments: "facts.get KEY".
func (f Function) usage() string {
	var b strings.Builder
	b.WriteString(f.Name)
	for _, a := range f.Args {
		if a.Required {
			b.WriteString(" " + strings.ToUpper(a.Name))
		} else {
			b.WriteString(" [" + a.Name + "=" + string(a.Type) + "]")
		}
	}
	return b.String()
}
