// Package render puts values on a terminal or into a file: tables, JSON and
// YAML, sizes and times for people. What hosts and packets say is hostile:
// nothing that a terminal would obey leaves this package unescaped.
package render

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Line makes a text fit for one line: every control character, every
// invisible mark that reorders text, and every byte that is not UTF-8 is
// shown as an escape.
func Line(s string) string { return escape(s, false) }

// Text is Line for text of several lines: line breaks and tabs stay.
func Text(s string) string { return escape(strings.ReplaceAll(s, "\r\n", "\n"), true) }

func escape(s string, lines bool) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x100 && hostile(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func clean(s string) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if hostile(r) || r == utf8.RuneError && n == 1 {
			return false
		}
		i += n
	}
	return true
}

// hostile tells the characters that a terminal acts on (C0, DEL, C1), that
// break lines where no line should break, or that reorder or hide what stands
// around them (Unicode Technical Report 36, section 2).
func hostile(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}

// escapeJSON writes the hostile characters that encoding/json leaves alone as
// \u escapes. They stand only in strings there, so the document stays equal.
func escapeJSON(doc []byte) []byte {
	if clean(strings.ReplaceAll(string(doc), "\n", "")) {
		return doc
	}
	var b strings.Builder
	for _, r := range string(doc) {
		switch {
		case r == '\n' || !hostile(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

// escapeYAML writes the hostile characters that the encoder leaves alone as
// escapes. Whatever has one is in double quotes, see stringNode.
func escapeYAML(doc string) string {
	if clean(strings.ReplaceAll(doc, "\n", "")) {
		return doc
	}
	var b strings.Builder
	for _, r := range doc {
		switch {
		case r == '\n' || !hostile(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
