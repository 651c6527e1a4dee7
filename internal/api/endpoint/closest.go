package endpoint

import (
	"strings"

	"github.com/rind-project/rind/internal/base/spelling"
)

// closest returns the candidate that is most like name, or "" when none is
// near: at most a third of the longer word may differ.
func closest(name string, candidates []string) string {
	const tooLong = 64
	if len(name) > tooLong {
		return ""
	}
	best, bestAt := "", 1<<30
	for _, c := range candidates {
		if d := spelling.Distance(strings.ToLower(name), strings.ToLower(c)); d < bestAt && d*3 <= max(len(name), len(c))+1 {
			best, bestAt = c, d
		}
	}
	return best
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
