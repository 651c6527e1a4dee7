package render

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// bytesSuffix ends the names of members that are numbers of bytes.
const bytesSuffix = "_bytes"

// Limits of what is shown as a table.
const (
	maxColumns = 12
	maxCell    = 120 // characters; longer ones are cut, -o json has them whole
)

// rows shows a list of flat objects as a table; ok is false for any other
// value. Members that are numbers of bytes have a unit there.
func rows(list *yaml.Node) (text string, ok bool) {
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return "", false
	}
	var names []string
	for _, row := range list.Content {
		if row.Kind != yaml.MappingNode {
			return "", false
		}
		for i := 0; i < len(row.Content); i += 2 {
			if name := row.Content[i].Value; !slices.Contains(names, name) {
				names = append(names, name)
			}
			if flat(row.Content[i+1]) == nil || len(names) > maxColumns {
				return "", false
			}
		}
	}
	t := Table{}
	for _, name := range names {
		numbers := !slices.ContainsFunc(list.Content, func(row *yaml.Node) bool { v := member(row, name); return v != nil && !isNumber(v) })
		t.Columns = append(t.Columns, Column{Title: Line(strings.ToUpper(strings.TrimSuffix(name, bytesSuffix))), Right: numbers})
	}
	for _, row := range list.Content {
		cells := make([]string, len(names))
		for i, name := range names {
			if v := member(row, name); v != nil {
				cells[i] = cell(name, v)
			}
		}
		t.Add(cells...)
	}
	var b strings.Builder
	_ = t.Write(&b, false) // a strings.Builder does not fail
	return b.String(), true
}

// flat is the value for a cell: a scalar, or a short list of scalars.
func flat(n *yaml.Node) []string {
	switch {
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}
	case n.Kind != yaml.SequenceNode || len(n.Content) > 16:
		return nil
	}
	out := []string{}
	for _, c := range n.Content {
		if c.Kind != yaml.ScalarNode {
			return nil
		}
		out = append(out, c.Value)
	}
	return out
}

func member(row *yaml.Node, name string) *yaml.Node {
	for i := 0; i < len(row.Content); i += 2 {
		if row.Content[i].Value == name {
			return row.Content[i+1]
		}
	}
	return nil
}

func isNumber(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "" }

func cell(name string, v *yaml.Node) string {
	if size, ok := size(name, v); ok {
		return size
	}
	if v.Tag == "!!null" {
		return ""
	}
	return cut(strings.Join(flat(v), ", "))
}

// size writes a number of bytes for people.
func size(name string, v *yaml.Node) (string, bool) {
	if !strings.HasSuffix(name, bytesSuffix) || !isNumber(v) {
		return "", false
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil || n < 0 || n == math.MaxInt64 {
		return "", false
	}
	return Bytes(n), true
}

// explain puts a size with a unit behind each number of bytes in a tree.
func explain(n *yaml.Node) {
	for i, c := range n.Content {
		explain(c)
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			if s, ok := size(n.Content[i-1].Value, c); ok {
				c.LineComment = s
			}
		}
	}
}

// people writes a value that is neither a string nor nothing.
func people(raw json.RawMessage) (string, error) {
	tree, err := nodeOf(raw)
	if err != nil {
		return "", err
	}
	if text, ok := rows(tree); ok {
		return text, nil
	}
	explain(tree)
	return encodeYAML(tree)
}
