package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// JSON writes a value as an indented document.
func JSON(w io.Writer, value any) error {
	return writeJSON(w, value, "  ")
}

// NDJSON writes a value as one line.
func NDJSON(w io.Writer, value any) error {
	return writeJSON(w, value, "")
}

func writeJSON(w io.Writer, value any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("encoding JSON: %w", err)
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

// YAML writes a value as a YAML document with the names and the order of its
// JSON.
func YAML(w io.Writer, value any) error {
	doc, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding YAML: %w", err)
	}
	text, err := yamlOf(doc)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// yamlOf turns JSON into YAML.
func yamlOf(doc []byte) (string, error) {
	tree, err := nodeOf(doc)
	if err != nil {
		return "", fmt.Errorf("encoding YAML: %w", err)
	}
	return encodeYAML(tree)
}

func encodeYAML(tree *yaml.Node) (string, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(tree); err != nil {
		return "", fmt.Errorf("encoding YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return "", fmt.Errorf("encoding YAML: %w", err)
	}
	return escapeYAML(b.String()), nil
}

// Value writes what a function returned: a string as it is, a scalar on one
// line, a list of flat objects as a table, anything else as YAML. It is safe to
// print.
func Value(raw json.RawMessage) string {
	var s string
	if err := json.Unmarshal(raw, &s); err == nil {
		return Text(s)
	}
	if len(raw) == 0 {
		return ""
	}
	text, err := people(raw)
	if err != nil {
		return Text(string(raw))
	}
	return Text(text)
}
