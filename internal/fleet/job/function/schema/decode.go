package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// Limits of what a function is given.
const (
	MaxText = 4 << 10 // bytes of an argument, unless it says otherwise
	MaxList = 1000    // words of a list
	maxArgs = 1200    // words altogether
)

// Decode reads arguments as they were typed. The required ones are taken by
// position, so that a command may hold an equals sign; then come those of the
// form name=value, and what else there is by position.
func (f Function) Decode(args []string) (Values, error) {
	if len(args) > maxArgs {
		return nil, errs.New(errs.TooLarge, "%s is given %d words, at most %d are read", f.Name, len(args), maxArgs)
	}
	v := Values{}
	rest := f.Args
	for len(rest) > 0 && rest[0].Required {
		if len(args) == 0 {
			return nil, errs.New(errs.Invalid, "%s needs %s (%s); usage: %s", f.Name, strings.ToUpper(rest[0].Name), rest[0].Doc, f.Usage())
		}
		if err := f.set(v, rest[0], args[0]); err != nil {
			return nil, err
		}
		rest, args = rest[1:], args[1:]
	}
	for _, s := range args {
		a, value, err := f.option(v, rest, s)
		if err != nil {
			return nil, err
		}
		if err := f.set(v, a, value); err != nil {
			return nil, err
		}
	}
	for _, a := range f.Args {
		if !v.Has(a.Name) && a.Default != "" {
			if err := f.set(v, a, a.Default); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// option finds which argument a word is meant for.
func (f Function) option(have Values, opts []Arg, word string) (Arg, string, error) {
	name, value, named := strings.Cut(word, "=")
	var names []string
	for _, a := range opts {
		if named && a.Name == name {
			if have.Has(name) && !a.Many {
				return a, "", errs.New(errs.Invalid, "%s: %s is given twice", f.Name, name)
			}
			return a, value, nil
		}
		names = append(names, a.Name)
	}
	many := slices.IndexFunc(f.Args, func(a Arg) bool { return a.Many })
	if hint := DidYouMean(name, names); named && isName(name) && len(opts) > 0 && (many < 0 || hint != "") {
		return Arg{}, "", errs.New(errs.Invalid, "%s has no argument %s%s; usage: %s", f.Name, Clip(name), hint, f.Usage())
	}
	if many >= 0 {
		if named && name == f.Args[many].Name {
			word = value
		}
		return f.Args[many], word, nil
	}
	for _, a := range opts {
		if !have.Has(a.Name) {
			return a, word, nil
		}
	}
	hint := ""
	if f.Name == "cmd.run" {
		hint = "; quote the command, so that it is one argument"
	}
	return Arg{}, "", errs.New(errs.Invalid, "%s has no place for %s%s; usage: %s", f.Name, Clip(word), hint, f.Usage())
}

func (f Function) set(v Values, a Arg, text string) error {
	value, err := a.parse(text)
	if err != nil {
		return errs.New(errs.KindOf(err), "%s: %s %w", f.Name, a.Name, err)
	}
	if words, ok := value.([]string); ok {
		all := append(v.List(a.Name), words...)
		if len(all) > MaxList {
			return errs.New(errs.TooLarge, "%s: %s has more than %d words", f.Name, a.Name, MaxList)
		}
		value = all
	}
	v[a.Name] = value
	return nil
}

func isName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != ""
}

// Clip quotes what somebody typed, at a bearable length.
func Clip(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return fmt.Sprintf("%q", s)
}
