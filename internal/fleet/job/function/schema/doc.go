package schema

import (
	"path"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// Doc is the documentation of a function as sys.doc returns it.
type Doc struct {
	Name      string   `json:"name"`
	Doc       string   `json:"doc"`
	Usage     string   `json:"usage"`
	Args      []ArgDoc `json:"args,omitempty"`
	Example   string   `json:"example"`
	ReadOnly  bool     `json:"read_only"`
	Platforms []string `json:"platforms"`
	Alias     string   `json:"alias_of,omitempty"`
}

// ArgDoc is the documentation of an argument.
type ArgDoc struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Required bool   `json:"required,omitempty"`
	Default  string `json:"default,omitempty"`
	Doc      string `json:"doc"`
}

// Document returns the documentation of a function.
func (f Function) Document() Doc {
	d := Doc{Name: f.Name, Doc: f.Doc, Usage: f.Usage(), Example: strings.TrimSpace("rind '*' " + f.Name + " " + f.Example),
		ReadOnly: f.ReadOnly, Platforms: f.Platforms, Alias: f.Alias}
	for _, a := range f.Args {
		d.Args = append(d.Args, ArgDoc{Name: a.Name, Type: a.Type, Required: a.Required, Default: a.Default, Doc: a.Describe()})
	}
	return d
}

// Match returns the functions that a glob, a name or a family names.
func Match(all []Function, pattern string) ([]Function, error) {
	var out []Function
	var names []string
	for _, f := range all {
		ok, err := path.Match(pattern, f.Name)
		if err != nil {
			return nil, errs.New(errs.Invalid, "%s is no glob", Clip(pattern))
		}
		if ok || f.Family() == pattern {
			out = append(out, f)
		}
		names = append(names, f.Name)
	}
	if len(out) == 0 {
		return nil, errs.New(errs.NotFound, "there is no function %s%s", Clip(pattern), DidYouMean(pattern, names))
	}
	return out, nil
}
