package function

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Values are decoded arguments by name.
type Values map[string]any

// Text returns a string argument, "" when it was not given.
func (v Values) Text(name string) string { s, _ := v[name].(string); return s }

// Int returns an integer argument, 0 when it was not given.
func (v Values) Int(name string) int { n, _ := v[name].(int); return n }

// Bool returns a boolean argument, false when it was not given.
func (v Values) Bool(name string) bool { b, _ := v[name].(bool); return b }

// Duration returns a duration argument, 0 when it was not given.
func (v Values) Duration(name string) time.Duration { d, _ := v[name].(time.Duration); return d }

// decode reads arguments as they were typed. The required ones are taken by
// position, so that a command may hold an equals sign; then come those of the
// form name=value, and what else there is by position.
func (f Function) decode(args []string) (Values, error) {
	v := Values{}
	rest := f.Args
	for len(rest) > 0 && rest[0].Required {
		if len(args) == 0 {
			return nil, errs.New(errs.Invalid, "%s needs %s (%s); usage: %s", f.Name, strings.ToUpper(rest[0].Name), rest[0].Doc, f.usage())
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
	return v, nil
}

// option finds which optional argument a word is meant for.
func (f Function) option(have Values, opts []Arg, word string) (Arg, string, error) {
	name, value, named := strings.Cut(word, "=")
	var names []string
	for _, a := range opts {
		if named && a.Name == name {
			if _, twice := have[name]; twice {
				return a, "", errs.New(errs.Invalid, "%s: %s is given twice", f.Name, name)
			}
			return a, value, nil
		}
		names = append(names, a.Name)
	}
	if named && isName(name) && len(opts) > 0 {
		return Arg{}, "", errs.New(errs.Invalid, "%s has no argument %s%s; usage: %s", f.Name, clip(name), didYouMean(name, names), f.usage())
	}
	for _, a := range opts {
		if _, given := have[a.Name]; !given {
			return a, word, nil
		}
	}
	hint := ""
	if f.Name == "cmd.run" {
		hint = "; quote the command, so that it is one argument"
	}
	return Arg{}, "", errs.New(errs.Invalid, "%s has no place for %s%s; usage: %s", f.Name, clip(word), hint, f.usage())
}

func (f Function) set(v Values, a Arg, text string) error {
	var err error
	switch a.Type {
	case Int:
		v[a.Name], err = strconv.Atoi(text)
	case Bool:
		v[a.Name], err = strconv.ParseBool(text)
	case Duration:
		v[a.Name], err = time.ParseDuration(text)
	default:
		v[a.Name] = text
	}
	if err != nil {
		return errs.New(errs.Invalid, "%s: %s is to be %s, not %s", f.Name, a.Name, examples[a.Type], clip(text))
	}
	return nil
}

var examples = map[Type]string{Int: "a whole number", Bool: "true or false", Duration: "a duration such as 90s or 5m"}

func isName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != ""
}

// clip quotes what somebody typed, at a bearable length.
func clip(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return fmt.Sprintf("%q", s)
}
