package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report collects results, and prints what happens meanwhile.
type report struct {
	out     io.Writer
	results []result
}

// result is a figure beside its limit, in the same unit.
type result struct {
	name, unit  string
	ours, limit float64
	note        string
}

func (r *report) say(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

func (r *report) add(name string, ours, limit float64, unit, note string, args ...any) {
	res := result{name, unit, ours, limit, fmt.Sprintf(note, args...)}
	r.results = append(r.results, res)
	r.say("%s", res)
}

// String is the line that machines read.
func (r result) String() string {
	line := fmt.Sprintf("RESULT name=%s ours=%.4g%s limit=%.4g%s ratio=%.3g", r.name, r.ours, r.unit, r.limit, r.unit, r.ours/r.limit)
	if r.note != "" {
		line += "  # " + r.note
	}
	return line
}

// print prints a table of all and then the lines again, as the last thing.
func (r *report) print() {
	width := 0
	for _, res := range r.results {
		width = max(width, len(res.name))
	}
	r.say("\n%-*s %12s %12s %7s", width, "figure", "ours", "limit", "ratio")
	for _, res := range r.results {
		r.say("%-*s %12s %12s %7.3f", width, res.name, fmt.Sprintf("%.4g%s", res.ours, res.unit), fmt.Sprintf("%.4g%s", res.limit, res.unit), res.ours/res.limit)
	}
	r.say("")
	for _, res := range r.results {
		r.say("%s", res)
	}
}

// durations are what one round took each time.
type durations []time.Duration

func (d durations) median() time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

// pair is the round whose ratio of ours to raw is the median one. Both were
// measured one after the other, so that what else the machine does then weighs
// on both alike.
func pair(ours, raw durations) (o, r time.Duration) {
	at := make([]int, len(ours))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int {
		return cmp.Compare(float64(ours[a])/float64(raw[a]), float64(ours[b])/float64(raw[b]))
	})
	m := at[len(at)/2]
	return ours[m], raw[m]
}

// String shows them all, as they came.
func (d durations) String() string {
	var b strings.Builder
	for _, t := range d {
		fmt.Fprintf(&b, "%5d ", t.Milliseconds())
	}
	return b.String() + "ms"
}
