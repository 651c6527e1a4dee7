package local

import (
	"strings"
	"unicode/utf8"
)

// Keep is a writer that keeps the head and the tail of what is written, and
// counts the rest.
type Keep struct {
	head  []byte
	tail  []byte // a ring once it is full
	at    int    // where the ring's next byte goes
	half  int
	total int64
}

// NewKeep makes a writer that keeps limit bytes.
func NewKeep(limit int) *Keep { return &Keep{half: limit / 2} }

// Write never fails.
func (k *Keep) Write(p []byte) (int, error) {
	n := len(p)
	k.total += int64(n)
	if room := k.half - len(k.head); room > 0 {
		take := min(room, len(p))
		k.head, p = append(k.head, p[:take]...), p[take:]
	}
	if len(p) > k.half {
		p = p[len(p)-k.half:]
	}
	if room := k.half - len(k.tail); room > 0 && k.at == 0 {
		take := min(room, len(p))
		k.tail, p = append(k.tail, p[:take]...), p[take:]
	}
	for len(p) > 0 {
		c := copy(k.tail[k.at:], p)
		p = p[c:]
		k.at = (k.at + c) % len(k.tail)
	}
	return n, nil
}

// Text returns what was kept as valid UTF-8, with a line that says what is
// missing, and the number of bytes that are.
func (k *Keep) Text() (string, int64) {
	tail := string(k.tail[k.at:]) + string(k.tail[:k.at])
	cut := k.total - int64(len(k.head)) - int64(len(tail))
	if cut == 0 {
		return valid(string(k.head) + tail), 0
	}
	head := string(k.head)
	for i := 0; i < utf8.UTFMax && head != "" && !utf8.ValidString(head[max(0, len(head)-utf8.UTFMax):]); i++ {
		r, size := utf8.DecodeLastRuneInString(head)
		if r != utf8.RuneError || size != 1 {
			break
		}
		head = head[:len(head)-1]
		cut++
	}
	for i := 0; i < utf8.UTFMax-1 && tail != "" && !utf8.RuneStart(tail[0]); i++ {
		tail = tail[1:]
		cut++
	}
	return valid(head) + "\n… cut …\n" + valid(tail), cut
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
