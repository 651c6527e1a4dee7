package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"github.com/rind-project/rind/internal/base/errs"
)

// Dump writes every key with its value and origin. The format is "table" (or
// ""), "json", or "yaml": a config file with the origins as comments.
func (o *Origins) Dump(w io.Writer, format string) error {
	switch format {
	case "", "table":
		return o.table(w)
	case "json":
		return o.json(w)
	case "yaml":
		return o.yaml(w)
	}
	return errs.New(errs.Invalid, "a configuration has no format %q; use table, json or yaml", format)
}

func (o *Origins) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tORIGIN")
	for _, r := range o.rows {
		// A tab or a line break in a value would fake a row.
		value := strings.Join(strings.FieldsFunc(oneLine(r.value), func(c rune) bool { return c < ' ' }), " ")
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.key, value, r.origin)
	}
	return t.Flush()
}

func (o *Origins) json(w io.Writer) error {
	type line struct {
		Key    string `json:"key"`
		Value  any    `json:"value"`
		Origin string `json:"origin"`
	}
	lines := make([]line, 0, len(o.rows))
	for _, r := range o.rows {
		l := line{Key: r.key, Origin: r.origin}
		if r.value != nil {
			if err := r.value.Decode(&l.Value); err != nil {
				return fmt.Errorf("rendering %q: %w", r.key, err)
			}
		}
		lines = append(lines, l)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(lines)
}

func (o *Origins) yaml(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, r := range o.rows {
		if r.value == nil {
			continue
		}
		parts := strings.Split(r.key, ".")
		section := root
		for _, name := range parts[:len(parts)-1] {
			section = within(section, name)
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: parts[len(parts)-1]}
		value := *r.value
		value.LineComment = r.origin
		section.Content = append(section.Content, name, &value)
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return fmt.Errorf("writing yaml: %w", err)
	}
	return enc.Close()
}

// within returns the section of that name, which it makes when needed.
func within(section *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(section.Content); i += 2 {
		if section.Content[i].Value == name {
			return section.Content[i+1]
		}
	}
	child := &yaml.Node{Kind: yaml.MappingNode}
	section.Content = append(section.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, child)
	return child
}
