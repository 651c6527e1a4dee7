package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/spelling"
)

// suggestion says which key was probably meant, or else which keys exist where
// the unknown one stands.
func suggestion(key string, section, root *node) string {
	var here, all []string
	for _, c := range section.children {
		here = append(here, c.key)
	}
	root.walk(func(n *node) { all = append(all, n.key) })
	if best := closest(key, here); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if best := closest(key, all); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	// The name may be right and the section wrong.
	for _, candidate := range all {
		if last(candidate) == last(key) {
			return fmt.Sprintf("; did you mean %q?", candidate)
		}
	}
	return "; known here: " + listed(section)
}

func closestName(name string, names []string) string {
	slices.Sort(names)
	if best := closest(name, names); best != "" {
		return fmt.Sprintf("; did you mean %s?", best)
	}
	return "; unset it (`config dump` lists the keys)"
}

func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// listed names the keys of a section, bounded.
func listed(section *node) string {
	const most = 12
	var names []string
	for _, c := range section.children {
		names = append(names, c.name)
	}
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, ", ")
}

// closest returns the candidate that differs in the fewest places, or "" when
// none is close enough to be a slip of the fingers.
func closest(word string, candidates []string) string {
	const longest = 100
	if len(word) > longest {
		return ""
	}
	best, least := "", max(2, len(last(word))/3)+1
	for _, c := range candidates {
		if d := spelling.Distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}
