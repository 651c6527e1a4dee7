package page

import (
	"fmt"
	"html/template"
	"time"

	"github.com/rind-project/rind/internal/web/ui"
)

// Moment is a time beside the present, for the template "ago".
type Moment struct {
	Zero                  bool
	Machine, Exact, Words string
	Clock                 string // the time of day, with the day when it is not today
}

// funcs are the words that templates may use. None of them makes HTML.
func funcs(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"bytes":   bytesOf,
		"count":   countOf,
		"percent": ui.Percent,
		"took":    ui.Took,
		"visible": func(v any) string { return ui.Visible(textOf(v)) },
		"text":    func(v any) string { return ui.VisibleText(textOf(v)) },
		"none":    func() string { return ui.NoValue },
		"moment": func(t time.Time) Moment {
			return Moment{Zero: t.IsZero(), Machine: ui.Machine(t), Exact: ui.Exact(t), Words: ui.Ago(t, now()), Clock: ui.Clock(t, now())}
		},
		"proto":      ui.Proto,
		"bits":       ui.Bits,
		"dnsType":    ui.DNSType,
		"rcode":      ui.RCode,
		"tlsVersion": ui.TLSVersion,
		"add":        func(a, b uint64) uint64 { return a + b },
		"pair":       func(key, value any) Pair { return Pair{key, value} },
	}
}

// Pair is two values for a shared template.
type Pair struct {
	Key, Value any
}

func bytesOf(v any) string {
	switch n := v.(type) {
	case int:
		return ui.Bytes(n)
	case int64:
		return ui.Bytes(n)
	case uint64:
		return ui.Bytes(n)
	}
	return ui.NoValue
}

func countOf(v any) string {
	switch n := v.(type) {
	case int:
		return ui.Count(n)
	case int64:
		return ui.Count(n)
	case uint64:
		return ui.Count(n)
	case uint16:
		return ui.Count(n)
	}
	return ui.NoValue
}

// textOf takes texts of any type, such as ids; anything else as fmt prints it.
func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}
