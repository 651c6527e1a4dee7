// Package openapi describes the route table as an OpenAPI 3.1 document. Its
// schemas come by reflection from the very types that the routes decode and
// encode, so that the document cannot say anything else than the code.
package openapi

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
)

// Route is a row of the route table, as far as it is documented.
type Route struct {
	Method, Pattern string
	Need            string // "public", "viewer" …
	Summary         string
	In, Out         any // zero values; endpoint.Raw and endpoint.Stream where it is not JSON
}

// Document is an OpenAPI document. Marshalled, its keys are sorted.
type Document map[string]any

// Generate describes the routes. They are given with their full patterns.
func Generate(title, version string, routes []Route) Document {
	s := newSchemas()
	paths := map[string]map[string]any{}
	for _, r := range routes {
		if paths[r.Pattern] == nil {
			paths[r.Pattern] = map[string]any{}
		}
		paths[r.Pattern][strings.ToLower(r.Method)] = operation(s, r)
	}
	failure := s.of(reflect.TypeFor[wire.Error]())
	return Document{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": title, "version": version},
		"paths":   paths,
		"components": map[string]any{
			"schemas": s.named,
			"responses": map[string]any{"error": map[string]any{
				"description": "the refusal: what went wrong, and what to do next",
				"content":     content("application/json", failure),
			}},
			"securitySchemes": map[string]any{
				"token":   map[string]any{"type": "http", "scheme": "bearer"},
				"session": map[string]any{"type": "apiKey", "in": "cookie", "name": "__Host-rind_session"},
			},
		},
	}
}

func operation(s *schemas, r Route) map[string]any {
	op := map[string]any{
		"operationId": operationID(r),
		"summary":     r.Summary,
		"x-need":      r.Need,
		"responses":   responses(s, r),
		"security":    []any{map[string]any{"token": []any{}}, map[string]any{"session": []any{}}},
	}
	if r.Need == "public" {
		op["security"] = []any{}
	}
	if r.Need == "tap token" {
		op["security"] = []any{map[string]any{"token": []any{}}}
	}
	if p := parameters(s, r.In); len(p) > 0 {
		op["parameters"] = p
	}
	if b := body(s, r.In); b != nil {
		op["requestBody"] = b
	}
	return op
}

// operationID is a name for generated clients: "get_peels_id".
func operationID(r Route) string {
	words := strings.FieldsFunc(strings.TrimPrefix(r.Pattern, "/api/v1"), func(c rune) bool {
		return c == '/' || c == '{' || c == '}' || c == '-' || c == '.'
	})
	return strings.ToLower(r.Method) + "_" + strings.Join(words, "_")
}

func responses(s *schemas, r Route) map[string]any {
	all := map[string]any{"default": map[string]any{"$ref": "#/components/responses/error"}}
	switch out := r.Out.(type) {
	case nil:
		all[strconv.Itoa(http.StatusNoContent)] = map[string]any{"description": "done"}
	case endpoint.Stream:
		events := map[string]any{}
		for name, data := range out {
			events[name] = s.of(reflect.TypeOf(data))
		}
		all["200"] = map[string]any{
			"description": "server-sent events; the data of each is JSON",
			"content":     map[string]any{"text/event-stream": map[string]any{"schema": map[string]any{"type": "string"}, "x-events": events}},
		}
	case endpoint.Raw:
		all["200"] = map[string]any{"description": r.Summary, "content": content(out.ContentType, map[string]any{"type": "string", "format": "binary"})}
	default:
		all["200"] = map[string]any{"description": r.Summary, "content": content("application/json", s.of(reflect.TypeOf(out)))}
	}
	return all
}

func parameters(s *schemas, in any) []any {
	var all []any
	if raw, ok := in.(endpoint.Raw); ok {
		in = raw.Params
	}
	for _, f := range endpoint.Fields(reflect.TypeOf(in)) {
		where := map[endpoint.Place]string{endpoint.InPath: "path", endpoint.InQuery: "query"}[f.Place]
		if where == "" {
			continue
		}
		p := map[string]any{"name": f.Name, "in": where, "required": f.Required, "schema": tagged(s.of(f.Type), f.Tag)}
		if f.Doc != "" {
			p["description"] = f.Doc
		}
		if f.Name == "*" { // any further ones (OpenAPI 3.1, style "form" with explode)
			p["name"], p["style"], p["explode"] = "others", "form", true
		}
		all = append(all, p)
	}
	return all
}

func body(s *schemas, in any) map[string]any {
	if raw, ok := in.(endpoint.Raw); ok {
		return map[string]any{"required": true, "content": content(raw.ContentType, map[string]any{"type": "string", "format": "binary"})}
	}
	properties, required := map[string]any{}, []string{}
	for _, f := range endpoint.Fields(reflect.TypeOf(in)) {
		if f.Place == endpoint.InBody {
			properties[f.Name] = described(s.of(f.Type), f.Doc)
			if f.Required {
				required = append(required, f.Name)
			}
		}
	}
	if len(properties) == 0 {
		return nil
	}
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return map[string]any{"required": len(required) > 0, "content": content("application/json", object)}
}

func content(kind string, schema any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": schema}}
}
