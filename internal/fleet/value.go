package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxValueDepth is how deep lists and objects of a value may stand within one
// another.
const maxValueDepth = 64

// ParseValue reads a value as somebody types it: JSON, or else a text.
func ParseValue(typed string) (json.RawMessage, error) {
	if raw := json.RawMessage(bytes.TrimSpace([]byte(typed))); CheckValue(raw, len(raw)) == nil {
		return Encode(raw)
	}
	if !utf8.ValidString(typed) {
		return nil, errors.New("it is no valid UTF-8")
	}
	return Encode(typed)
}

// CheckValue accepts JSON of at most limit bytes that is UTF-8 and not nested
// deeper than anybody reads.
func CheckValue(raw json.RawMessage, limit int) error {
	switch {
	case len(raw) == 0:
		return errors.New("there is no value")
	case len(raw) > limit:
		return fmt.Errorf("the value has %d bytes, at most %d are taken", len(raw), limit)
	case !utf8.Valid(raw):
		return errors.New("the value is no valid UTF-8")
	case depth(raw) > maxValueDepth:
		return fmt.Errorf("the value is nested deeper than %d", maxValueDepth)
	case !json.Valid(raw):
		return errors.New("the value is no valid JSON")
	}
	return nil
}

// depth is how deep brackets stand within one another, strings left out.
func depth(raw []byte) int {
	deepest, at, inside := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '[' || c == '{':
			at++
			deepest = max(deepest, at)
		case c == ']' || c == '}':
			at--
		}
	}
	return deepest
}

// Encode is JSON on one line in which <, > and & stand as they are, so that a
// value does not grow on its way.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
