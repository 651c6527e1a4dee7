package schema

import (
	"fmt"
	"slices"

	"github.com/rind-project/rind/internal/base/spelling"
)

// DidYouMean names the closest of the words, when one is close: "; did you mean x?".
func DidYouMean(word string, among []string) string {
	if len(word) > 64 {
		return ""
	}
	among = slices.Sorted(slices.Values(among))
	best, at := "", 1+max(2, len(word)/2)
	for _, w := range among {
		if d := spelling.Distance(word, w); d < at {
			best, at = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}
