package target

import "strings"

// Quote returns a value so that it is one word of an expression and means
// itself; globs and regular expressions keep their meaning.
func Quote(value string) string {
	if value != "" && !strings.ContainsAny(value, " \t\r\n'\"()\\") && operator(value) == termWord {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'"'"'`) + "'"
}

// Of returns the expression that is one term: the letter of a kind of target
// ('L', 'E', 'G', 'P', 'I', 'S' or 'N') with its value.
func Of(letter byte, value string) string { return string(letter) + "@" + Quote(value) }
