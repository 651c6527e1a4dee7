package parse

import "bytes"

// Lines cuts the bytes of one side into lines that end in LF, with or without
// CR before it. A line longer than the limit is cut off there and its rest
// passed over, so that no line is waited for without end.
type Lines struct{ over bool }

// Cut takes the first line of b. n is how many bytes it took, and ok says that
// line holds one, without its end. When ok is false and n is not 0, the rest
// of a long line was passed over. It looks at no byte behind the first line,
// and most must be below MaxBuffer.
func (l *Lines) Cut(b []byte, most int) (line []byte, n int, ok bool) {
	if l.over {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return nil, len(b), false
		}
		l.over = false
		return nil, end + 1, false
	}
	end := bytes.IndexByte(b[:min(len(b), most+2)], '\n')
	switch {
	case end >= 0:
		line, n = b[:end], end+1
		if end > 0 && b[end-1] == '\r' {
			line = b[:end-1]
		}
		return line[:min(len(line), most)], n, true
	case len(b) >= most+2:
		l.over = true
		return b[:most], most, true
	}
	return nil, 0, false
}

// Word cuts the first word, which a space ends, from a line; the spaces behind
// it are passed over.
func Word(line []byte) (word, rest []byte) {
	i := bytes.IndexByte(line, ' ')
	if i < 0 {
		return line, nil
	}
	for word, rest = line[:i], line[i:]; len(rest) > 0 && rest[0] == ' '; {
		rest = rest[1:]
	}
	return word, rest
}

// Is reports whether b is the word, whatever the case of its letters (ASCII).
// word is in upper case.
func Is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// Begins reports whether b begins with the word, like Is.
func Begins(b []byte, word string) bool {
	return len(b) >= len(word) && Is(b[:len(word)], word)
}

// Trim takes spaces and tabs from both ends.
func Trim(b []byte) []byte { return bytes.Trim(b, " \t") }

// Number reads decimal digits, nothing else and at most 19 of them.
func Number(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// NoPassword appends a URI to dst without the password, or without all of the
// user information when whole is set (RFC 3986 section 3.2.1, RFC 3261 section
// 19.1.1), and without what follows its first '?'. It appends at most MaxText
// bytes of what is before and of what is behind.
func NoPassword(dst, uri []byte, whole bool) []byte {
	if i := bytes.IndexByte(uri, '?'); i >= 0 {
		uri = uri[:i]
	}
	from, to := password(uri, whole)
	dst = append(dst, uri[:min(from, MaxText)]...)
	return append(dst, uri[to:min(len(uri), to+MaxText)]...)
}

// password says from where to where the bytes to be left out go.
func password(uri []byte, whole bool) (from, to int) {
	start := bytes.IndexByte(uri, ':') + 1
	rest := uri[start:]
	if start == 0 {
		return len(uri), len(uri)
	}
	if bytes.HasPrefix(rest, []byte("//")) {
		start, rest = start+2, rest[2:]
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			rest = rest[:i]
		}
	}
	at := bytes.LastIndexByte(rest, '@')
	if at < 0 {
		return len(uri), len(uri)
	}
	if whole {
		return start, start + at + 1
	}
	if i := bytes.IndexByte(rest[:at], ':'); i >= 0 {
		return start + i, start + at
	}
	return len(uri), len(uri)
}
