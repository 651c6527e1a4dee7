package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// EnvName returns the variable that sets a key: RIND_NATS_LISTEN for nats.listen.
func EnvName(prefix, key string) string {
	return prefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// uniqueEnv refuses a schema in which one variable would set two keys.
func uniqueEnv(root *node, prefix string) error {
	seen := map[string]string{}
	var err error
	root.walk(func(n *node) {
		name := EnvName(prefix, n.key)
		if other, taken := seen[name]; taken && !n.section && err == nil {
			err = errs.New(errs.Internal, "config: %s would set both %q and %q", name, other, n.key)
		}
		if !n.section {
			seen[name] = n.key
		}
	})
	return err
}

// environment takes the variables that begin with the prefix.
func (l *loader) environment(src Source) {
	if src.Prefix == "" {
		return
	}
	byName := map[string]*node{}
	l.root.walk(func(n *node) {
		if !n.section {
			byName[EnvName(src.Prefix, n.key)] = n
		}
	})
	for _, variable := range slices.Sorted(slices.Values(src.Env)) {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, src.Prefix+"_") || ignored(name, src.IgnoreEnv) {
			continue
		}
		n := byName[name]
		if n == nil {
			l.problems.add(fmt.Errorf("environment %s: no key has this variable%s", shorten(name), closestName(name, slices.Collect(maps.Keys(byName)))))
			continue
		}
		l.text("environment "+name, text, n)
	}
}

func ignored(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if start, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(name, start)
		}
		return name == p
	})
}

// flags takes the values that were given on the command line.
func (l *loader) flags(flags map[string]string, name func(key string) string) {
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		origin := "flag --" + key
		if name != nil {
			origin = "flag " + name(key)
		}
		if n := l.root.find(key); n != nil {
			l.text(origin, flags[key], n)
			continue
		}
		l.problems.add(fmt.Errorf("%s: unknown key %q%s", origin, shorten(key), suggestion(key, l.root, l.root)))
	}
}

// text sets a key from the text of a variable or a flag. A list is written with
// commas, a list of structs as YAML: [{url: a}, {url: b}].
func (l *loader) text(origin, text string, n *node) {
	d := decoder{loader: l, root: l.root, at: func(int) string { return origin }}
	switch t := n.value.Type(); {
	case isList(t) && shorthand(reflect.New(t.Elem()).Elem()) != nil && !strings.HasPrefix(strings.TrimSpace(text), "["):
		l.shorthands(origin, text, n)
	case isList(t) && isSection(t.Elem()):
		doc, err := parse(origin, []byte(text))
		if err != nil {
			l.problems.add(err)
			return
		}
		if doc == nil {
			n.value.Set(reflect.Zero(t))
			break
		}
		d.list(0, doc, n)
	case isList(t):
		l.commas(origin, text, n)
	default:
		d.set(0, text, n)
	}
	l.origins[n.key] = origin
}

// shorthands reads a list of structs that are all written as texts.
func (l *loader) shorthands(origin, text string, n *node) {
	var items []string
	if text != "" {
		items = strings.Split(text, ",")
	}
	list := reflect.MakeSlice(n.value.Type(), len(items), len(items))
	for i, item := range items {
		if err := shorthand(list.Index(i)).SetShorthand(strings.TrimSpace(item)); err != nil {
			l.problems.add(fmt.Errorf("%s: %w", origin, wrong(n, item, err)))
		}
	}
	n.value.Set(list)
}

func (l *loader) commas(origin, text string, n *node) {
	var items []string
	if text != "" {
		items = strings.Split(text, ",")
	}
	list := reflect.MakeSlice(n.value.Type(), len(items), len(items))
	for i, item := range items {
		if err := setScalar(list.Index(i), strings.TrimSpace(item)); err != nil {
			l.problems.add(fmt.Errorf("%s: %w", origin, wrong(n, item, err)))
		}
	}
	n.value.Set(list)
}
