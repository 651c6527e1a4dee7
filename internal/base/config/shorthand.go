package config

import "reflect"

// Shorthand is implemented by a struct in a list that may also be written as
// one text: the name of an interface in the place of its settings.
type Shorthand interface {
	// SetShorthand takes the text. Its error continues the sentence "the value
	// of KEY is wrong".
	SetShorthand(text string) error
	// Shorthand returns the text; ok is false when more is set than it can say.
	Shorthand() (text string, ok bool)
}

// shorthand returns the value as a Shorthand, or nil.
func shorthand(v reflect.Value) Shorthand {
	if !v.CanAddr() || v.Kind() != reflect.Struct {
		return nil
	}
	s, _ := v.Addr().Interface().(Shorthand)
	return s
}
