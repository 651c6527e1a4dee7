package local

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a diff.
const (
	maxDiffLines = 1000     // of either side, between what both begin and end with
	maxDiff      = 64 << 10 // bytes of the result
	around       = 3        // lines before and after a change
)

// Diff shows in the unified form what changes between two texts, "" when they
// are the same. Large changes and binary ones are only counted.
func Diff(before, after string) string {
	if before == after {
		return ""
	}
	if !text(before) || !text(after) {
		return fmt.Sprintf("binary: %d bytes before, %d after\n", len(before), len(after))
	}
	a, b := lines(before), lines(after)
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	enda, endb := len(a), len(b)
	for enda > start && endb > start && a[enda-1] == b[endb-1] {
		enda, endb = enda-1, endb-1
	}
	if enda-start > maxDiffLines || endb-start > maxDiffLines {
		return fmt.Sprintf("%d lines before, %d after, from line %d on\n", enda-start, endb-start, start+1)
	}
	out := hunks(a, b, script(a[start:enda], b[start:endb], start))
	if len(out) > maxDiff {
		out = strings.ToValidUTF8(out[:maxDiff], "") + "\n… cut …\n"
	}
	return out
}

func text(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func lines(s string) []string {
	if s == "" {
		return nil
	}
	out := strings.SplitAfter(s, "\n")
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// edit replaces the lines a[A:A2] by b[B:B2].
type edit struct{ A, A2, B, B2 int }

// script finds the edits by the longest common subsequence. Its table has one
// number of two bytes for each pair of lines, 2 MB at most.
func script(a, b []string, offset int) []edit {
	w := len(b) + 1
	table := make([]uint16, (len(a)+1)*w)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i*w+j] = table[(i+1)*w+j+1] + 1
			} else {
				table[i*w+j] = max(table[(i+1)*w+j], table[i*w+j+1])
			}
		}
	}
	var out []edit
	for i, j := 0, 0; i < len(a) || j < len(b); {
		if i < len(a) && j < len(b) && a[i] == b[j] {
			i, j = i+1, j+1
			continue
		}
		e := edit{A: i + offset, B: j + offset}
		for (i < len(a) || j < len(b)) && (i == len(a) || j == len(b) || a[i] != b[j]) {
			if j == len(b) || i < len(a) && table[(i+1)*w+j] >= table[i*w+j+1] {
				i++
			} else {
				j++
			}
		}
		e.A2, e.B2 = i+offset, j+offset
		out = append(out, e)
	}
	return out
}

// hunks writes edits with the lines around them; edits that are close share a
// hunk.
func hunks(a, b []string, edits []edit) string {
	var out strings.Builder
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].A-edits[n-1].A2 <= 2*around {
			n++
		}
		group := edits[:n]
		edits = edits[n:]
		first, last := group[0], group[n-1]
		from, to := max(0, first.A-around), min(len(a), last.A2+around)
		fromB := first.B - (first.A - from)
		toB := last.B2 + (to - last.A2)
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", span(from, to), span(fromB, toB))
		at := from
		for _, e := range group {
			put(&out, " ", a[at:e.A])
			put(&out, "-", a[e.A:e.A2])
			put(&out, "+", b[e.B:e.B2])
			at = e.A2
		}
		put(&out, " ", a[at:to])
	}
	return out.String()
}

func span(from, to int) string {
	if from == to {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func put(out *strings.Builder, sign string, lines []string) {
	for _, l := range lines {
		out.WriteString(sign + l)
		if !strings.HasSuffix(l, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}
