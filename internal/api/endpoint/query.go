package endpoint

import (
	"encoding"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// maxValue is the longest value of a path or query parameter in bytes, unless
// the tag maxlen says otherwise.
const maxValue = 512

func decodePath(r *http.Request, v reflect.Value, fields []Field) error {
	for _, f := range fields {
		if f.Place != InPath {
			continue
		}
		if err := set(v.FieldByIndex(f.index), f, r.PathValue(f.Name)); err != nil {
			return errs.New(errs.Invalid, "%s in the path: %w", f.Name, err)
		}
	}
	return nil
}

func decodeQuery(r *http.Request, v reflect.Value, fields []Field) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errs.New(errs.Invalid, "the query of the URL is not well formed: write each value percent-encoded")
	}
	known := names(fields, InQuery)
	open := others(v, fields)
	for name, values := range query {
		if len(values) > 1 {
			return errs.New(errs.Invalid, "parameter %s is given %d times; give it once", quote(name), len(values))
		}
		if contains(known, name) && name != anyName {
			continue
		}
		if open == nil {
			return errs.New(errs.Invalid, "%s", unknown("parameter", name, known))
		}
		if len(open) >= maxOthers || len(name) > maxName || len(values[0]) > maxValue {
			return errs.New(errs.Invalid, "parameter %s is over a limit: %d of %d bytes each are taken", quote(name), maxOthers, maxValue)
		}
		open[name] = values[0]
	}
	for _, f := range fields {
		if f.Place != InQuery || f.Name == anyName {
			continue
		}
		value := query.Get(f.Name)
		if value == "" {
			value = f.Tag.Get("default")
		}
		if value == "" {
			if f.Required {
				return errs.New(errs.Invalid, "parameter %q is needed", f.Name)
			}
			continue
		}
		if err := set(v.FieldByIndex(f.index), f, value); err != nil {
			return errs.New(errs.Invalid, "parameter %q: %w", f.Name, err)
		}
	}
	return nil
}

// anyName is the name of a field of type map[string]string that takes the
// parameters that no other field does.
const anyName = "*"

// What such a field takes at most.
const (
	maxOthers = 32
	maxName   = 64
)

// others makes the map of the field that takes all other parameters; it is nil
// when the input has none.
func others(v reflect.Value, fields []Field) map[string]string {
	for _, f := range fields {
		if f.Place == InQuery && f.Name == anyName {
			m := map[string]string{}
			v.FieldByIndex(f.index).Set(reflect.ValueOf(m))
			return m
		}
	}
	return nil
}

// set parses a text into a field by the field's type, within the bounds of
// its tags min, max, maxlen and enum.
func set(v reflect.Value, f Field, text string) error {
	longest := maxValue
	if n, err := strconv.Atoi(f.Tag.Get("maxlen")); err == nil {
		longest = n
	}
	if len(text) > longest {
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(text), longest)
	}
	if enum := f.Tag.Get("enum"); enum != "" && !contains(strings.Split(enum, ","), text) {
		return fmt.Errorf("%s is not one of %s", quote(text), strings.ReplaceAll(enum, ",", ", "))
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s is neither true nor false", quote(text))
		}
		v.SetBool(b)
		return nil
	case reflect.Int, reflect.Int64, reflect.Uint16, reflect.Uint8, reflect.Uint64:
		return setNumber(v, f, text)
	}
	panic("endpoint: a parameter cannot be of type " + v.Type().String())
}

func setNumber(v reflect.Value, f Field, text string) error {
	low, high := bounds(f)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		return fmt.Errorf("%s is not a whole number from %d to %d", quote(text), low, high)
	}
	if v.CanUint() {
		v.SetUint(uint64(n))
		return nil
	}
	v.SetInt(n)
	return nil
}

// bounds gives the range of a number from its tags, else from its type.
func bounds(f Field) (low, high int64) {
	low, high = 0, 1<<62
	if f.Type.Bits() < 32 {
		high = 1<<f.Type.Bits() - 1
	}
	if n, err := strconv.ParseInt(f.Tag.Get("min"), 10, 64); err == nil {
		low = n
	}
	if n, err := strconv.ParseInt(f.Tag.Get("max"), 10, 64); err == nil {
		high = n
	}
	return low, high
}
