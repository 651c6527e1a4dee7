package schema

import (
	"fmt"
	"github.com/rind-project/rind/internal/base/errs"
	"slices"
	"strings"

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

// Check reports what is wrong with a call before it is sent to any host: an
// unknown function, or arguments that it does not take.
func Check(name string, args []string) error {
	var names []string
	for _, f := range All() {
		if f.Name == name {
			_, err := f.Decode(args)
			return err
		}
		names = append(names, f.Name)
	}
	hint := DidYouMean(name, names)
	for _, known := range names {
		if strings.HasSuffix(known, "."+name) {
			hint = fmt.Sprintf("; did you mean %s?", known)
			break
		}
	}
	return errs.New(errs.NotFound, "there is no function %s%s (rind web-01 sys.list names those of a host)", Clip(name), hint)
}
