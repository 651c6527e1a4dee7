package schema

import "time"

// Values are decoded arguments by name.
type Values map[string]any

// Text returns a string argument, "" when it was not given.
func (v Values) Text(name string) string { s, _ := v[name].(string); return s }

// Int returns an integer argument, 0 when it was not given.
func (v Values) Int(name string) int { n, _ := v[name].(int); return n }

// Size returns a number of bytes, 0 when it was not given.
func (v Values) Size(name string) int64 { n, _ := v[name].(int64); return n }

// Bool returns a boolean argument, false when it was not given.
func (v Values) Bool(name string) bool { b, _ := v[name].(bool); return b }

// Duration returns a duration argument, 0 when it was not given.
func (v Values) Duration(name string) time.Duration { d, _ := v[name].(time.Duration); return d }

// List returns a list argument, nil when it was not given.
func (v Values) List(name string) []string { l, _ := v[name].([]string); return l }

// Has reports whether an argument was given, or has a default.
func (v Values) Has(name string) bool { _, ok := v[name]; return ok }
