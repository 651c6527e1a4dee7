package config

import (
	"cmp"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

const mask = "********"

// render returns a value as a YAML node, secrets masked; nil for a nil pointer.
func render(v reflect.Value, secret string) *yaml.Node {
	switch {
	case isList(v.Type()):
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			if item := render(v.Index(i), secret); item != nil {
				list.Content = append(list.Content, item)
			}
		}
		return list
	case isSection(v.Type()):
		if short := shorthand(v); short != nil {
			if text, ok := short.Shorthand(); ok {
				return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
			}
		}
		return renderStruct(v, secret)
	}
	text, ok := formatScalar(v)
	if !ok {
		return nil
	}
	scalar := &yaml.Node{Kind: yaml.ScalarNode, Tag: tagOf(v.Type()), Value: masked(text, secret)}
	if strings.ContainsFunc(scalar.Value, unprintable) {
		// The encoder's block style does not always load again.
		scalar.Style = yaml.DoubleQuotedStyle
	}
	return scalar
}

func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// renderStruct is for the elements of lists. A secret list has secret elements.
func renderStruct(v reflect.Value, secret string) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	element := &node{value: v}
	if err := element.grow(); err != nil {
		return m
	}
	for _, c := range element.children {
		if value := render(c.value, cmp.Or(c.secret, secret)); value != nil {
			m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: c.name}, value)
		}
	}
	return m
}

// tagOf makes the encoder quote a text that looks like something else.
func tagOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isText(t) || t == durationType {
		return "!!str"
	}
	switch t.Kind() {
	case reflect.String:
		return "!!str"
	case reflect.Bool:
		return "!!bool"
	case reflect.Float32, reflect.Float64:
		return "!!float"
	}
	return "!!int"
}

func masked(text, secret string) string {
	switch {
	case secret == "" || text == "":
		return text
	case secret == "url" && strings.HasPrefix(text, "/"):
		return text // a path, where a URL or a path may stand
	case secret == "url":
		// A URL that cannot be read cannot be masked in part.
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			u.RawQuery = maskedQuery(u.RawQuery)
			return u.Redacted()
		}
	}
	return mask
}

// secretWords stand in names of a URL's parameters that are secret, such as
// those of PostgreSQL (password) and of downloads (license_key, token).
var secretWords = []string{"pass", "secret", "key", "token", "signature", "credential"}

// maskedQuery masks the values of such parameters as net/url masks a password.
func maskedQuery(query string) string {
	if query == "" {
		return ""
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(strings.ToLower(plain), w) }) {
			parts[i] = name + "=xxxxx"
		}
	}
	return strings.Join(parts, "&")
}

// oneLine returns a rendered value as it stands in a table.
func oneLine(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// typeName says in a word what may stand in a key.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer && !isText(t) {
		t = t.Elem()
	}
	switch {
	case isList(t):
		return "list"
	case t == durationType:
		return "time"
	case t == reflect.TypeFor[Size]():
		return "size"
	case isText(t) || t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "boolean"
	}
	return "number"
}

// addressable returns a pointer to a struct: itself, or one to a copy.
func addressable(of any) any {
	v := reflect.ValueOf(of)
	if v.Kind() != reflect.Struct {
		return of
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}
