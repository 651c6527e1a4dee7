package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Origins knows the values as they were after Load, and where each came from.
type Origins struct {
	rows []row
}

// row is a key with its value, secrets masked.
type row struct {
	key    string
	help   string
	origin string
	value  *yaml.Node // nil when there is none
}

const byDefault = "default"

func newOrigins(root *node, set map[string]string) *Origins {
	o := &Origins{}
	root.walk(func(n *node) {
		if n.section {
			return
		}
		origin, ok := set[n.key]
		if !ok {
			origin = byDefault
		}
		o.rows = append(o.rows, row{key: n.key, help: n.help, origin: origin, value: render(n.value, n.secret)})
	})
	return o
}

// Of returns the origin of a key: "default", "file rind.yaml:12",
// "environment RIND_X", "flag --x", or "" when there is no such key.
func (o *Origins) Of(key string) string {
	for _, r := range o.rows {
		if r.key == key {
			return r.origin
		}
	}
	return ""
}

// place shortens an origin to what stands in front of a message.
func place(origin string) string { return strings.TrimPrefix(origin, "file ") }

// KeyInfo describes one key of a schema.
type KeyInfo struct {
	Key     string // dotted
	Type    string // "text", "boolean", "number", "time", "size", "list"
	Default string // as text; masked when secret
	Help    string
	Secret  bool
}

// Keys lists the keys of a configuration struct, or of a pointer to one, in
// the order in which they are declared. A struct that is no schema has none.
func Keys(of any) []KeyInfo {
	root, err := schemaOf(addressable(of))
	if err != nil {
		return nil
	}
	var keys []KeyInfo
	root.walk(func(n *node) {
		if !n.section {
			keys = append(keys, KeyInfo{
				Key: n.key, Type: typeName(n.value.Type()), Help: n.help, Secret: n.secret != "",
				Default: oneLine(render(n.value, n.secret)),
			})
		}
	})
	return keys
}
