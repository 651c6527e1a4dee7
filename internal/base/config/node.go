package config

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// node is a key of the schema: a section with children, or a value.
type node struct {
	key      string // dotted; "" for the root
	name     string // last part of key
	help     string
	secret   string // "", "true" or "url"
	path     bool   // of a file or a folder
	value    reflect.Value
	section  bool
	children []*node
}

// maxDepth ends a schema that holds itself.
const maxDepth = 12

// grow makes a node that holds a struct a section with its children.
func (n *node) grow() error { return n.growAt(0) }

func (n *node) growAt(depth int) error {
	if depth > maxDepth {
		return errs.New(errs.Internal, "config: sections nest deeper than %d at %q", maxDepth, n.key)
	}
	n.section = true
	return n.addFields(n.value, depth)
}

func (n *node) addFields(v reflect.Value, depth int) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, inline := fieldName(f)
		if name == "-" || !f.IsExported() {
			continue
		}
		if inline {
			if err := n.addFields(v.Field(i), depth+1); err != nil {
				return err
			}
			continue
		}
		child := &node{key: join(n.key, name), name: name, help: f.Tag.Get("help"), secret: f.Tag.Get("secret"), path: f.Tag.Get("path") == "true", value: v.Field(i)}
		if n.child(name) != nil {
			return errs.New(errs.Internal, "config: two fields are called %q", child.key)
		}
		if child.path && f.Type.Kind() != reflect.String {
			return errs.New(errs.Internal, "config: the field %q is a path, and no string", child.key)
		}
		if isSection(f.Type) {
			if err := child.growAt(depth + 1); err != nil {
				return err
			}
		} else if !supported(f.Type) {
			return errs.New(errs.Internal, "config: the field %q has the type %s, which has no text form", child.key, f.Type)
		}
		n.children = append(n.children, child)
	}
	return nil
}

// fieldName reads the yaml tag as yaml.Marshal does.
func fieldName(f reflect.StructField) (name string, inline bool) {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	inline = strings.Contains(options, "inline") && f.Type.Kind() == reflect.Struct
	if name == "" {
		name = strings.ToLower(f.Name)
	}
	return name, inline
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// walk calls visit for the node's descendants, sections before what they hold.
func (n *node) walk(visit func(*node)) {
	for _, c := range n.children {
		visit(c)
		c.walk(visit)
	}
}

// find returns the value, or nil when the key is unknown or a section.
func (n *node) find(key string) *node {
	var found *node
	n.walk(func(c *node) {
		if c.key == key && !c.section {
			found = c
		}
	})
	return found
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// isList reports whether values of the type are written as a sequence.
func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && !isText(t) }

func isScalar(t reflect.Type) bool {
	if isText(t) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

func supported(t reflect.Type) bool {
	switch {
	case isList(t):
		return isScalar(t.Elem()) || isSection(t.Elem())
	case t.Kind() == reflect.Pointer && !isText(t):
		return isScalar(t.Elem())
	}
	return isScalar(t)
}
