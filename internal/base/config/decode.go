package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder moves values from YAML nodes into the schema. It does not use
// yaml.Unmarshal, which would stop at the first mistake and lose its place.
type decoder struct {
	*loader
	root   *node                 // what unknown keys are compared with
	at     func(line int) string // names a place, for messages
	origin string                // precedes the place in origins
	dir    string                // what paths are relative to; "" is the working directory
}

func (d *decoder) problem(line int, format string, args ...any) {
	d.problems.add(fmt.Errorf("%s: %w", d.at(line), fmt.Errorf(format, args...)))
}

// section decodes a mapping. A section without content (all its lines commented
// out) keeps its defaults.
func (d *decoder) section(n *yaml.Node, into *node) {
	if isNull(n) && into.key != "" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.problem(n.Line, "%s; want keys with values, such as %q", misplaced(into.key, n), example(into))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := join(into.key, name.Value)
		if first, twice := seen[name.Value]; twice {
			d.problem(name.Line, "the key %q is set already in line %d", key, first)
			continue
		}
		seen[name.Value] = name.Line
		child := into.child(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode || child == nil:
			d.problem(name.Line, "unknown key %q%s", shorten(key), d.hint(key, into))
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			d.problem(name.Line, "the value of %q uses a YAML anchor; write it out", key)
		case child.section:
			d.section(value, child)
		default:
			d.value(name.Line, value, child)
		}
	}
}

func (d *decoder) hint(key string, into *node) string {
	if nested := d.root.find(key); nested != nil && into.key == "" {
		return fmt.Sprintf("; in a file it is written as %q", nestedForm(key))
	}
	return suggestion(key, into, d.root)
}

// value decodes into a key that is not a section, and notes its origin.
func (d *decoder) value(line int, n *yaml.Node, into *node) {
	if isList(into.value.Type()) {
		d.list(line, n, into)
	} else {
		d.scalar(line, n, into)
	}
	d.origins[into.key] = d.origin + d.at(line)
}

func (d *decoder) scalar(line int, n *yaml.Node, into *node) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.problem(line, "%s; want one value", misplaced(into.key, n))
	case isNull(n):
		d.problem(line, "the key %q has no value; remove it to keep the default", into.key)
	default:
		d.set(line, n.Value, into)
	}
}

// set parses the text of one value.
func (d *decoder) set(line int, text string, into *node) {
	if err := setScalar(into.value, text); err != nil {
		d.problem(line, "%w", wrong(into, text, err))
		return
	}
	if !into.path || text == "" {
		return
	}
	path, err := filepath.Abs(filepath.Join(d.dir, text))
	if filepath.IsAbs(text) {
		path, err = filepath.Clean(text), nil
	}
	if err != nil {
		d.problem(line, "the path of %q: %w", into.key, err)
		return
	}
	into.value.SetString(path)
}

// list replaces the default by the elements of a sequence.
func (d *decoder) list(line int, n *yaml.Node, into *node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.problem(line, "%s; want a list, such as %s", misplaced(into.key, n), "[a, b]")
		return
	}
	list := reflect.MakeSlice(into.value.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		element := &node{key: into.key + "[" + strconv.Itoa(i) + "]", secret: into.secret, value: list.Index(i)}
		switch {
		case item.Kind == yaml.AliasNode || item.Anchor != "":
			d.problem(item.Line, "the value of %q uses a YAML anchor; write it out", element.key)
		case item.Kind == yaml.ScalarNode && !isNull(item) && shorthand(element.value) != nil:
			if err := shorthand(element.value).SetShorthand(item.Value); err != nil {
				d.problem(item.Line, "the value of %q is wrong (%q): %w", element.key, shorten(item.Value), err)
			}
		case isSection(element.value.Type()):
			d.element(item, element)
		default:
			d.scalar(item.Line, item, element)
		}
	}
	into.value.Set(list)
}

// element decodes one struct of a list. Unknown keys in it are compared with
// its own keys only.
func (d *decoder) element(n *yaml.Node, into *node) {
	if err := into.grow(); err != nil {
		d.problems.add(err)
		return
	}
	if isNull(n) {
		d.problem(n.Line, "the key %q has no value", into.key)
		return
	}
	within := *d
	within.root = into
	within.section(n, into)
}

// misplaced says what stands where something else should.
func misplaced(key string, n *yaml.Node) string {
	kind := "a value"
	switch n.Kind {
	case yaml.MappingNode:
		kind = "a section"
	case yaml.SequenceNode:
		kind = "a list"
	}
	if key == "" {
		return "the file holds " + kind
	}
	return fmt.Sprintf("the key %q holds %s", key, kind)
}

// example names a key that a section may hold.
func example(section *node) string {
	if len(section.children) == 0 {
		return "key: value"
	}
	return section.children[0].name + ": …"
}

// nestedForm writes a dotted key the way it stands in a file.
func nestedForm(key string) string {
	parts := strings.Split(key, ".")
	return strings.Join(parts[:len(parts)-1], ": {") + ": {" + parts[len(parts)-1] + ": …" + strings.Repeat("}", len(parts)-1)
}

// wrong describes a value that its type refuses. Of a secret nothing is shown,
// and nothing of the error, which may quote it.
func wrong(n *node, text string, err error) error {
	switch {
	case n.secret != "":
		return fmt.Errorf("the value of %q is not valid (not shown, since it is secret)", n.key)
	case text == "":
		return fmt.Errorf("the value of %q is empty: %w", n.key, err)
	}
	return fmt.Errorf("the value of %q is wrong (%q): %w", n.key, shorten(text), err)
}

// shorten bounds what is quoted of somebody's input.
func shorten(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
