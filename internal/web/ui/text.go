package ui

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible replaces what a reader cannot see, or what would change the order or
// the look of what stands around it, by a visible form: control characters
// by their pictures (␀ … ␡), other invisible and direction-changing ones and
// bytes that are not UTF-8 by an escape. Names from hosts and packets go
// through it.
func Visible(s string) string { return visible(s, false) }

// VisibleText is Visible for output of several lines: it keeps line ends and tabs.
func VisibleText(s string) string {
	return visible(strings.ReplaceAll(s, "\r\n", "\n"), true)
}

func visible(s string, lines bool) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + hex2(s[i]))
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r < 0x20:
			b.WriteRune(0x2400 + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case hidden(r):
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + `}`)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// hidden holds for C1 controls, formats (zero-width, bidirectional overrides,
// tags), separators of lines, private use and surrogates.
func hidden(r rune) bool {
	return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' || r == '\u3164' || r == '\uffa0'
}

func hex2(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

// Cut shortens a text to at most n bytes at a character's border and says how
// many bytes it left out.
func Cut(s string, n int) (kept string, left int) {
	if len(s) <= n {
		return s, 0
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], len(s) - n
}

// Words writes the name of a column for people: "client_port" is "Client
// port", "mac" is "MAC".
func Words(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		switch w {
		case "mac", "vlan", "bssid", "ssid", "id", "uri", "url", "pmf", "wps", "rtt", "hassh", "starttls":
			words[i] = strings.ToUpper(w)
		case "addr":
			words[i] = "address"
		}
	}
	text := strings.Join(words, " ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
