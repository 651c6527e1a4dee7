package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errTrailing is the refusal of more than one JSON value.
var errTrailing = errors.New("something follows the JSON value")

// nodeOf reads one JSON value into a YAML tree that keeps the order of members.
func nodeOf(doc []byte) (*yaml.Node, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	n, err := readNode(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return n, nil
}

// readNode recurses as deep as the value nests, which encoding/json bounds.
func readNode(d *json.Decoder) (*yaml.Node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		return readChildren(d, t)
	case string:
		return stringNode(t), nil
	case json.Number:
		return numberNode(t), nil
	case bool:
		if t {
			return scalar("!!bool", "true"), nil
		}
		return scalar("!!bool", "false"), nil
	}
	return scalar("!!null", "null"), nil
}

func readChildren(d *json.Decoder, open json.Delim) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for d.More() {
		child, err := readNode(d)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	_, err := d.Token()
	return n, err
}

// stringNode quotes what a terminal would obey, and the merge key ("<<", YAML
// 1.1), which the encoder leaves bare; lines become a block.
func stringNode(s string) *yaml.Node {
	n := scalar("!!str", s)
	switch {
	case s == "<<":
		n.Style = yaml.DoubleQuotedStyle
	case clean(s):
	case clean(strings.ReplaceAll(s, "\n", "")):
		n.Style = yaml.LiteralStyle
	default:
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// numberNode keeps the digits as they are. It has no tag, since the encoder
// would write one in front of an integer of over 64 bits.
func numberNode(s json.Number) *yaml.Node {
	return scalar("", string(s))
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}
