package endpoint

import (
	"fmt"
	"reflect"
	"strings"
)

// Place says where a field of an input travels.
type Place int

// The places.
const (
	InBody Place = iota
	InPath
	InQuery
)

// Field is a field of an input struct.
type Field struct {
	Name     string // on the wire
	Place    Place
	Required bool
	Doc      string
	Type     reflect.Type
	Tag      reflect.StructTag
	index    []int
}

// Fields lists the fields of an input struct, those of embedded structs among
// them. A field without one of the tags path, query and json does not travel.
func Fields(t reflect.Type) []Field {
	var all []Field
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous {
			continue
		}
		if field, ok := fieldOf(f); ok {
			all = append(all, field)
		}
	}
	return all
}

func fieldOf(f reflect.StructField) (Field, bool) {
	field := Field{Doc: f.Tag.Get("doc"), Type: f.Type, Tag: f.Tag, index: f.Index}
	for place, key := range [...]string{InPath: "path", InQuery: "query", InBody: "json"} {
		name, _, _ := strings.Cut(f.Tag.Get(key), ",")
		if name == "" || name == "-" {
			continue
		}
		field.Name, field.Place = name, Place(place)
		field.Required = field.Place == InPath || f.Tag.Get("required") == "true"
		return field, true
	}
	return Field{}, false
}

// names lists the wire names of the fields in one place.
func names(fields []Field, place Place) []string {
	var out []string
	for _, f := range fields {
		if f.Place == place {
			out = append(out, f.Name)
		}
	}
	return out
}

// quote shows a name that came from outside, bounded.
func quote(s string) string {
	const longest = 64
	if len(s) > longest {
		return fmt.Sprintf("%q…", s[:longest])
	}
	return fmt.Sprintf("%q", s)
}
