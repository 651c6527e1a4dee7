package ui

import (
	"net/url"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Window is the time range of a page: one of the presets, which moves with
// the clock, or a fixed range from two moments.
type Window struct {
	Preset string // "1h"; empty for a fixed range
	From   time.Time
	To     time.Time
}

// Presets are the ranges that a page offers, shortest first.
var presets = []struct {
	name string
	span time.Duration
}{
	{"15m", 15 * time.Minute},
	{"1h", time.Hour},
	{"6h", 6 * time.Hour},
	{"24h", 24 * time.Hour},
	{"7d", 7 * 24 * time.Hour},
}

const (
	defaultPreset = "1h"
	longest       = 366 * 24 * time.Hour
	formTime      = "2006-01-02T15:04"
)

// ParseWindow reads "range", or "from" and "to" (UTC, as <input
// type=datetime-local> writes them, with or without seconds, or RFC 3339).
// With an error comes the default window, so that a page can show both.
func ParseWindow(q url.Values, now time.Time) (Window, error) {
	from, to := q.Get("from"), q.Get("to")
	if from != "" || to != "" {
		return fixedWindow(from, to, now)
	}
	name := q.Get("range")
	if name == "" {
		name = defaultPreset
	}
	for _, p := range presets {
		if p.name == name {
			return Window{Preset: name, From: now.Add(-p.span), To: now}, nil
		}
	}
	return preset(now), errs.New(errs.Invalid, "the range %q is not one of 15m, 1h, 6h, 24h and 7d", Visible(clip(name)))
}

func preset(now time.Time) Window {
	return Window{Preset: defaultPreset, From: now.Add(-time.Hour), To: now}
}

func fixedWindow(from, to string, now time.Time) (Window, error) {
	w := Window{To: now}
	var err error
	if to != "" {
		if w.To, err = parseMoment(to); err != nil {
			return preset(now), err
		}
	}
	w.From = w.To.Add(-time.Hour)
	if from != "" {
		if w.From, err = parseMoment(from); err != nil {
			return preset(now), err
		}
	}
	switch {
	case !w.From.Before(w.To):
		return preset(now), errs.New(errs.Invalid, "the range ends before it begins: from %s to %s", Exact(w.From), Exact(w.To))
	case w.To.Sub(w.From) > longest:
		return preset(now), errs.New(errs.Invalid, "the range is longer than 366 days")
	}
	return w, nil
}

func parseMoment(s string) (time.Time, error) {
	for _, layout := range []string{formTime, "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return t, nil
		}
	}
	return time.Time{}, errs.New(errs.Invalid, "%q is not a time; write it as 2026-01-31T23:59 (UTC)", Visible(clip(s)))
}

func clip(s string) string {
	kept, left := Cut(s, 40)
	if left > 0 {
		kept += "…"
	}
	return kept
}

// Live reports whether the window moves with the clock.
func (w Window) Live() bool { return w.Preset != "" }

// Span is the window's length.
func (w Window) Span() time.Duration { return w.To.Sub(w.From) }

// Label says the window in words.
func (w Window) Label() string {
	if w.Preset == "" {
		return Exact(w.From) + " to " + Exact(w.To)
	}
	return "last " + map[string]string{
		"15m": "15 minutes", "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days"}[w.Preset]
}

// FormFrom and FormTo are the values of the form's fields, in UTC.
func (w Window) FormFrom() string { return w.From.UTC().Format(formTime) }

// FormTo is the end of the window as a form's value.
func (w Window) FormTo() string { return w.To.UTC().Format(formTime) }

// Query gives the parameters that lead to this window again.
func (w Window) Query() url.Values {
	if w.Preset != "" {
		return url.Values{"range": {w.Preset}}
	}
	return url.Values{"from": {w.FormFrom()}, "to": {w.FormTo()}}
}

// Choice is a link to another window.
type Choice struct {
	Name    string
	Query   string // with every other parameter kept
	Current bool
}

// Choices lists the presets as links that keep the other parameters of q.
func (w Window) Choices(q url.Values) []Choice {
	out := make([]Choice, 0, len(presets))
	for _, p := range presets {
		next := url.Values{}
		for k, v := range q {
			if k != "from" && k != "to" && k != "range" && k != "before" {
				next[k] = v
			}
		}
		next.Set("range", p.name)
		out = append(out, Choice{Name: p.name, Query: "?" + next.Encode(), Current: p.name == w.Preset})
	}
	return out
}

// Bucket is a round width of a chart's columns, at least the minute that the
// rollups have, that gives at most 180 of them.
func (w Window) Bucket() time.Duration {
	widths := []time.Duration{
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	}
	for _, b := range widths {
		if w.Span()/b <= 180 {
			return b
		}
	}
	return 7 * 24 * time.Hour
}
