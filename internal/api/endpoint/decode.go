// Package endpoint turns an HTTP request into a typed input, a typed output
// or an error into an HTTP answer, and a channel into server-sent events. It
// knows nothing of the product; package api names the routes.
package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"

	"github.com/rind-project/rind/internal/base/errs"
)

// MaxBody is the largest body of a JSON request in bytes.
const MaxBody = 64 << 10

// Decode fills a struct from the request: its path, its query and its JSON
// body, each strictly. What it refuses is of kind Invalid or TooLarge, and
// the message says what would be right.
func Decode(r *http.Request, into any) error { return DecodeWithin(r, into, MaxBody) }

// DecodeWithin is Decode with another limit of the body in bytes.
func DecodeWithin(r *http.Request, into any, maxBody int64) error {
	v := reflect.ValueOf(into).Elem()
	fields := Fields(v.Type())
	if err := decodePath(r, v, fields); err != nil {
		return err
	}
	if err := decodeQuery(r, v, fields); err != nil {
		return err
	}
	return decodeBody(r, v, fields, maxBody)
}

// DecodeParams fills a struct from the path and the query, and leaves the body.
func DecodeParams(r *http.Request, into any) error {
	v := reflect.ValueOf(into).Elem()
	fields := Fields(v.Type())
	if err := decodePath(r, v, fields); err != nil {
		return err
	}
	return decodeQuery(r, v, fields)
}

func decodeBody(r *http.Request, v reflect.Value, fields []Field, maxBody int64) error {
	known := names(fields, InBody)
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.New(errs.TooLarge, "the body is over the limit of %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return errs.New(errs.Invalid, "the body could not be read to its end")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return checkRequired(v, fields, nil)
	}
	if len(known) == 0 {
		return errs.New(errs.Invalid, "this route takes no body")
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return errs.New(errs.Invalid, "the body must be JSON, with the header Content-Type: application/json")
	}
	members, err := object(body, known)
	if err != nil {
		return err
	}
	return fill(v, fields, members)
}

// object reads one JSON object whose members all have known names, each once.
func object(body []byte, known []string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errs.New(errs.Invalid, "the body must be a JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, malformed(d)
		}
		if _, twice := members[name]; twice {
			return nil, errs.New(errs.Invalid, "field %s stands twice in the body", quote(name))
		}
		if !contains(known, name) {
			return nil, errs.New(errs.Invalid, "%s", unknown("field", name, known))
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, malformed(d)
		}
		members[name] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed(d)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errs.New(errs.Invalid, "something follows the JSON object in the body")
	}
	return members, nil
}

func malformed(d *json.Decoder) error {
	return errs.New(errs.Invalid, "the body is not valid JSON near byte %d", d.InputOffset())
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

func fill(v reflect.Value, fields []Field, members map[string]json.RawMessage) error {
	for _, f := range fields {
		raw, ok := members[f.Name]
		if f.Place != InBody || !ok {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(v.FieldByIndex(f.index).Addr().Interface()); err != nil {
			return badField(f, err)
		}
	}
	return checkRequired(v, fields, members)
}

// badField words an error of encoding/json without its Go types.
func badField(f Field, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return errs.New(errs.Invalid, "field %q: %s is given where %s is wanted", f.Name, wrong.Value, jsonWord(wrong.Type))
	}
	return errs.New(errs.Invalid, "field %q: %w", f.Name, err)
}

func checkRequired(v reflect.Value, fields []Field, members map[string]json.RawMessage) error {
	for _, f := range fields {
		if f.Place != InBody || !f.Required {
			continue
		}
		value := v.FieldByIndex(f.index)
		if members[f.Name] == nil || value.Kind() == reflect.String && value.IsZero() {
			return errs.New(errs.Invalid, "field %q is needed", f.Name)
		}
	}
	return nil
}

// jsonWord is what JSON calls a Go type.
func jsonWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}
