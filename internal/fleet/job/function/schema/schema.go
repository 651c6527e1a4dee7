// Package schema describes what jobs can run on hosts: every function with
// its arguments, documentation and an example. It holds no implementation, so
// that whatever asks, completes or documents can link it; the package function
// adds those.
package schema

import (
	"context"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

// Type is the type of an argument.
type Type string

// The types of arguments.
const (
	String   Type = "string"
	Int      Type = "int"
	Bool     Type = "bool"
	Duration Type = "duration"
	Size     Type = "size" // bytes: 4096, 64KiB, 1MB
	List     Type = "list" // words separated by commas
)

// Arg is one argument. Required ones are positional and come first; others may
// also be given as name=value.
type Arg struct {
	Name     string
	Type     Type
	Required bool
	Many     bool     // a List that takes every word that is no name=value
	Default  string   // as somebody would type it; "" is the type's zero
	OneOf    []string // the only values, when there are any
	Max      int64    // largest number or size, or bytes of a text; 0 is MaxText for a text
	Doc      string
}

// Function is one function.
type Function struct {
	Name      string
	Doc       string // a sentence first, then what else there is to know
	Example   string // arguments as they are typed, "" when there are none
	ReadOnly  bool   // changes nothing on the host, and is answered while long jobs run
	Instant   bool   // ReadOnly, and answers from what the peel has in memory, without waiting for anything
	Elsewhere bool   // what it changes is kept by the masters, not on the host
	Platforms []string
	Alias     string // the function that this is another name of
	Args      []Arg
	Run       Run // nil in the schema alone
}

// Run is what a function does. The context ends with the job.
type Run = func(context.Context, Call) (Result, error)

// Call is what a function is given.
type Call struct {
	Host  Host
	Args  Values
	Limit time.Duration // how long the job may run
}

// Host is what functions ask of the peel.
type Host interface {
	ID() fleet.PeelID
	Version() string
	Facts(context.Context) (fleet.Facts, error)
	// Settings returns the peel's settings and their revision. They must not be
	// changed. With refresh a master is asked first.
	Settings(ctx context.Context, refresh bool) (revision string, values map[string]any, err error)
	// Ask asks a master, such as for basket.get, and tries again until the
	// context ends or the master refuses.
	Ask(ctx context.Context, what string, data []byte) ([]byte, error)
	// Vouched refuses an answer that no master has said to this peel, and counts
	// it.
	Vouched(w job.Word, said, proof []byte) error
	// Event tells the masters of an event, and returns when one has stored it.
	Event(ctx context.Context, name string, data []byte) error
}

// Result is what a function gives. Value goes out as JSON. A function that
// did its work with a bad end, such as a command's exit code, sets Failed.
type Result struct {
	Value    any
	ExitCode int
	Failed   string
}

// All returns the schema of every function that there is, by families.
func All() []Function {
	var all []Function
	for _, family := range [][]Function{
		testFunctions(), cmdFunctions(), factsFunctions(), settingsFunctions(), pkgFunctions(), serviceFunctions(), fileFunctions(), cpFunctions(), userFunctions(),
		groupFunctions(), psFunctions(), diskFunctions(), netFunctions(), statusFunctions(), cronFunctions(), sysFunctions(), basketFunctions(), eventFunctions(),
	} {
		all = append(all, family...)
	}
	all = append(all, aliases("grains", factsFunctions())...)
	all = append(all, aliases("pillar", settingsFunctions())...)
	mine := basketFunctions()[0]
	mine.Name, mine.Alias = "mine.get", mine.Name
	all = append(all, mine)
	for i := range all {
		if all[i].Platforms == nil {
			all[i].Platforms = []string{"linux"}
		}
	}
	return all
}

// aliases gives functions the name of another family.
func aliases(family string, of []Function) []Function {
	for i := range of {
		of[i].Alias = of[i].Name
		of[i].Name = family + strings.TrimPrefix(of[i].Name, of[i].Family())
	}
	return of
}

// Family is the part of the name before the dot.
func (f Function) Family() string {
	family, _, _ := strings.Cut(f.Name, ".")
	return family
}

// Usage is the function with its arguments: "facts.get KEY [default=string]".
func (f Function) Usage() string {
	var b strings.Builder
	b.WriteString(f.Name)
	for _, a := range f.Args {
		b.WriteString(" ")
		switch {
		case a.Required && a.Many:
			b.WriteString(strings.ToUpper(a.Name) + "…")
		case a.Required:
			b.WriteString(strings.ToUpper(a.Name))
		case a.Many:
			b.WriteString("[" + strings.ToUpper(a.Name) + "…]")
		default:
			b.WriteString("[" + a.Name + "=" + string(a.Type) + "]")
		}
	}
	return b.String()
}

// Summary is the first sentence of the documentation.
func (f Function) Summary() string {
	if first, _, more := strings.Cut(f.Doc, ". "); more {
		return first + "."
	}
	return f.Doc
}
