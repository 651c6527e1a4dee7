package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/rind-project/rind/internal/base/errs"
)

// Parse reads the data of a layer, YAML or JSON, within the limits. It is data
// alone: tags of other kinds are refused, and nothing is evaluated. Aliases
// count as what they repeat.
func Parse(data string) (Values, error) {
	if len(data) > MaxData {
		return nil, errs.New(errs.TooLarge, "the layer has %d bytes, at most %d are kept", len(data), MaxData)
	}
	if !utf8.ValidString(data) || strings.IndexByte(data, 0) >= 0 {
		return nil, errs.New(errs.Invalid, "the layer is no text in UTF-8")
	}
	dec := yaml.NewDecoder(strings.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Values{}, nil
	} else if err != nil {
		return nil, errs.New(errs.Invalid, "the layer is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errs.New(errs.Invalid, "the layer has several documents (---); give it one")
	}
	r := reader{aliases: map[*yaml.Node]bool{}}
	v, err := r.value(doc.Content[0], 0)
	if err != nil {
		return nil, err
	}
	values, ok := v.(Values)
	if v == nil {
		values, ok = Values{}, true
	}
	if !ok {
		return nil, errs.New(errs.Invalid, "the layer, line %d: a layer is a map of keys and values", doc.Content[0].Line)
	}
	if b, err := json.Marshal(values); err != nil || len(b) > MaxData {
		return nil, errs.New(errs.TooLarge, "the layer has %d bytes as JSON, at most %d are kept", len(b), MaxData)
	}
	return values, nil
}

// reader makes values of nodes.
type reader struct {
	nodes   int
	aliases map[*yaml.Node]bool // that are being read
}

func fail(n *yaml.Node, format string, args ...any) error {
	return errs.New(errs.Invalid, "the layer, line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

func (r *reader) value(n *yaml.Node, depth int) (any, error) {
	if r.nodes++; r.nodes > MaxNodes {
		return nil, errs.New(errs.TooLarge, "the layer has over %d values, with what its aliases repeat", MaxNodes)
	}
	if depth > MaxDepth {
		return nil, errs.New(errs.TooLarge, "the layer, line %d: over %d maps and lists within one another", n.Line, MaxDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		if r.aliases[n.Alias] {
			return nil, fail(n, "the alias *%.40s stands within what it repeats", n.Value)
		}
		r.aliases[n.Alias] = true
		defer delete(r.aliases, n.Alias)
		return r.value(n.Alias, depth)
	case yaml.MappingNode:
		if tag := n.ShortTag(); tag != "!!map" {
			return nil, fail(n, "the tag %.40s is not known", tag)
		}
		return r.mapping(n, depth)
	case yaml.SequenceNode:
		if tag := n.ShortTag(); tag != "!!seq" {
			return nil, fail(n, "the tag %.40s is not known", tag)
		}
		out := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := r.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, fail(n, "something that is no value")
}

func (r *reader) mapping(n *yaml.Node, depth int) (any, error) {
	out, merged := Values{}, []Values{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		v, err := r.value(node, depth+1)
		if err != nil {
			return nil, err
		}
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			below, ok := mergeable(v)
			if !ok {
				return nil, fail(key, "<< takes a map, or a list of maps")
			}
			merged = append(merged, below...)
			continue
		}
		name, err := keyOf(key)
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, fail(key, "the key %.80q stands there twice", name)
		}
		out[name] = v
	}
	for _, below := range merged { // what is written here, or merged before, wins
		for k, v := range below {
			if _, have := out[k]; !have {
				out[k] = v
			}
		}
	}
	return out, nil
}

func mergeable(v any) ([]Values, bool) {
	if m, ok := v.(Values); ok {
		return []Values{m}, true
	}
	list, ok := v.([]any)
	var out []Values
	for _, item := range list {
		m, isMap := item.(Values)
		out, ok = append(out, m), ok && isMap
	}
	return out, ok
}

func keyOf(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", fail(n, "a key is a text, not a map or a list")
	case n.Value == "":
		return "", fail(n, "a key is empty")
	case len(n.Value) > MaxKey:
		return "", fail(n, "a key has %d bytes, at most %d are kept", len(n.Value), MaxKey)
	}
	return n.Value, nil
}

// scalar is a single value. A date stays the text that it is.
func scalar(n *yaml.Node) (any, error) {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return n.Value, nil
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, fail(n, "%.80q is neither true nor false", n.Value)
		}
		return b, nil
	case "!!int":
		return whole(n)
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fail(n, "%.80q is no number that can be kept; quote it if it is a text", n.Value)
		}
		return f, nil
	default:
		return nil, fail(n, "the tag %.40s is not known", tag)
	}
}

func whole(n *yaml.Node) (any, error) {
	var i int64
	if n.Decode(&i) == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(n.Value, 0, 64); err == nil {
		return u, nil
	}
	return nil, fail(n, "the number %.80q is too large; quote it if it is a text", n.Value)
}
