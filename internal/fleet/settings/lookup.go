package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxFound bounds the values of one key.
const maxFound = 1000

// Get returns what stands under a dotted key. A number leads into a list. A key
// may have dots of its own: the longest that is there is taken first.
func Get(v Values, key string) (any, bool) {
	return get(v, key)
}

func get(v any, key string) (any, bool) {
	if key == "" {
		return v, true
	}
	switch v := v.(type) {
	case Values:
		for end := len(key); end > 0; end = strings.LastIndexByte(key[:end], '.') {
			below, there := v[key[:end]]
			if !there {
				continue
			}
			if end == len(key) {
				return below, true
			}
			if out, ok := get(below, key[end+1:]); ok && key[end+1:] != "" {
				return out, true
			}
		}
	case []any:
		first, rest, _ := strings.Cut(key, ".")
		if n, err := strconv.Atoi(first); err == nil && n >= 0 && n < len(v) {
			return get(v[n], rest)
		}
	}
	return nil, false
}

// Texts returns the values under a dotted key as texts, for targets: through a
// list any element will do, with a number only that one. A map is no value.
func Texts(v Values, key string) []string {
	return texts(v, key, nil)
}

func texts(v any, key string, out []string) []string {
	if len(out) >= maxFound {
		return out
	}
	switch v := v.(type) {
	case Values:
		for end := len(key); end > 0; end = strings.LastIndexByte(key[:end], '.') {
			if below, there := v[key[:end]]; there {
				out = texts(below, strings.TrimPrefix(key[end:], "."), out)
			}
		}
		return out
	case []any:
		first, rest, _ := strings.Cut(key, ".")
		if n, err := strconv.Atoi(first); err == nil && key != "" {
			if n >= 0 && n < len(v) {
				out = texts(v[n], rest, out)
			}
			return out
		}
		for _, item := range v {
			out = texts(item, key, out)
		}
		return out
	}
	if key != "" || v == nil {
		return out
	}
	return append(out, text(v))
}

// text is a single value as it would be typed.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// Keys are the dotted keys of all values, sorted, for suggestions.
func Keys(v Values) []string { return keys("", v, nil) }

func keys(prefix string, v Values, out []string) []string {
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if len(out) >= maxFound {
			return out
		}
		out = append(out, prefix+k)
		if below, ok := v[k].(Values); ok {
			out = keys(prefix+k+".", below, out)
		}
	}
	return out
}

// Decode reads the JSON of a tree.
func Decode(data []byte) (Values, error) {
	var v Values
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // a large whole number stays what it is
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	return v, nil
}
