package openapi

import (
	"encoding"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network/store"
)

// schemas makes JSON Schemas of Go types. Structs get a name of their own and
// are referred to, so that a type that holds itself ends.
type schemas struct {
	named map[string]any
	names map[reflect.Type]string
}

func newSchemas() *schemas {
	return &schemas{named: map[string]any{}, names: map[reflect.Type]string{}}
}

// known are the types whose JSON is not that of their Go shape.
var known = map[reflect.Type]map[string]any{
	reflect.TypeFor[time.Time]():       {"type": "string", "format": "date-time"},
	reflect.TypeFor[time.Duration]():   {"type": "integer", "description": "nanoseconds"},
	reflect.TypeFor[netip.Addr]():      {"type": "string", "description": "an IPv4 or IPv6 address"},
	reflect.TypeFor[netip.Prefix]():    {"type": "string", "description": "a network in CIDR form"},
	reflect.TypeFor[json.RawMessage](): {"description": "any JSON value"},
	reflect.TypeFor[[]byte]():          {"type": "string", "contentEncoding": "base64"},
	reflect.TypeFor[wire.When]():       {"type": "string", "description": "RFC 3339, a day, or how long ago", "examples": []string{"2026-01-02T15:04:05Z", "2026-01-02", "1h", "7d"}},
	reflect.TypeFor[wire.Later]():      {"type": "string", "description": "RFC 3339, or how long from now", "examples": []string{"2026-01-02T15:04:05Z", "15m", "2d"}},
	reflect.TypeFor[fleet.Share]():     {"type": "string", "description": "a number of hosts, or a share of them", "examples": []string{"50", "10%"}},
	reflect.TypeFor[wire.Span]():       {"type": "string", "description": "a length of time", "examples": []string{"90s", "15m", "1h", "7d"}},
	reflect.TypeFor[wire.Net]():        {"type": "string", "description": "an address or a network", "examples": []string{"192.0.2.7", "2001:db8::/32"}},
	reflect.TypeFor[wire.Cursor]():     {"type": "string", "description": "opaque"},
	reflect.TypeFor[store.Record](): {"type": "object", "required": []string{"row", "tap", "time"}, "additionalProperties": true,
		"description": "row and tap, and the columns of the kind, which GET /records describes"},
}

var textType = reflect.TypeFor[encoding.TextMarshaler]()

// of returns the schema of a type, or a reference to it.
func (s *schemas) of(t reflect.Type) map[string]any {
	if k, ok := known[t]; ok {
		return k
	}
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem())
	}
	if t.Implements(textType) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.reference(t)
	case reflect.Interface:
		return map[string]any{}
	}
	return integer(t)
}

func integer(t reflect.Type) map[string]any {
	schema := map[string]any{"type": "integer"}
	switch t.Kind() {
	case reflect.Uint8, reflect.Uint16:
		schema["minimum"], schema["maximum"] = 0, 1<<t.Bits()-1
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		schema["minimum"] = 0
	}
	return schema
}

func (s *schemas) reference(t reflect.Type) map[string]any {
	name, ok := s.names[t]
	if !ok {
		name = s.name(t)
		s.names[t] = name
		s.named[name] = map[string]any{} // holds the name while the fields are described
		s.named[name] = s.object(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// name is the type's, with its package in front when another has it already.
func (s *schemas) name(t reflect.Type) string {
	if _, taken := s.named[t.Name()]; !taken {
		return t.Name()
	}
	pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
	return strings.ToUpper(pkg[:1]) + pkg[1:] + t.Name()
}

// object describes a struct as encoding/json writes it.
func (s *schemas) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" || hidden(t, f) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		schema := s.of(f.Type)
		if slices.Contains(strings.Split(options, ","), "string") {
			schema = map[string]any{"type": "string", "description": "an integer, in quotes because a JSON number is exact to 2^53 only"}
		}
		properties[name] = described(schema, f.Tag.Get("doc"))
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// hidden tells a promoted field whose name an outer field took.
func hidden(t reflect.Type, f reflect.StructField) bool {
	seen, ok := t.FieldByName(f.Name)
	return ok && len(seen.Index) < len(f.Index)
}

// described adds a description without changing the schema that others share.
func described(schema map[string]any, doc string) map[string]any {
	if doc == "" {
		return schema
	}
	return with(schema, "description", doc)
}

// tagged adds the bounds of a parameter's tags.
func tagged(schema map[string]any, tag reflect.StructTag) map[string]any {
	for key, word := range map[string]string{"min": "minimum", "max": "maximum", "maxlen": "maxLength", "default": "default"} {
		if n, err := strconv.Atoi(tag.Get(key)); err == nil {
			schema = with(schema, word, n)
		}
	}
	if enum := tag.Get("enum"); enum != "" {
		schema = with(schema, "enum", strings.Split(enum, ","))
	}
	return schema
}

func with(schema map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range schema {
		if k != key {
			out[k] = v
		}
	}
	return out
}
