package endpoint

import "strings"

// closest returns the candidate that is most like name, or "" when none is
// near: at most a third of the longer word may differ.
func closest(name string, candidates []string) string {
	const tooLong = 64
	if len(name) > tooLong {
		return ""
	}
	best, bestAt := "", 1<<30
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestAt && d*3 <= max(len(name), len(c))+1 {
			best, bestAt = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// unknown words the refusal of a name: what it is ("field", "parameter"), and
// which name may have been meant.
func unknown(what, name string, candidates []string) string {
	msg := "unknown " + what + " " + quote(name)
	if c := closest(name, candidates); c != "" {
		return msg + "; did you mean " + quote(c) + "?"
	}
	if len(candidates) == 0 {
		return msg + "; none is taken here"
	}
	return msg + "; known are: " + strings.Join(candidates, ", ")
}
