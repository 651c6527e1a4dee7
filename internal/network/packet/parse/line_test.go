package parse_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

// TestLinesHoweverCut: lines and their lengths do not depend on how the bytes
// come.
func TestLinesHoweverCut(t *testing.T) {
	t.Parallel()
	text := "a\r\n\r\nbb\nccccc\r\ncccccc\n" + strings.Repeat("d", 40) + "\r\nlast\n"
	const want = "a||bb|ccccc|ccccc|ddddd|last"
	for size := 1; size <= len(text); size++ {
		var l parse.Lines
		var held []byte
		var got []string
		for i := 0; i < len(text); i += size {
			held = append(held, text[i:min(i+size, len(text))]...)
			for len(held) > 0 {
				line, n, ok := l.Cut(held, 5)
				if ok {
					got = append(got, string(line))
				}
				if held = held[n:]; n == 0 {
					break
				}
			}
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("in pieces of %d: %q, want %q", size, s, want)
		}
	}
}

func TestNoPassword(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"sip:alice:pw@host;x=1?y=2":   {"sip:alice@host;x=1", "sip:host;x=1"},
		"rtsp://u:p@w@host:554/a@b":   {"rtsp://u@host:554/a@b", "rtsp://host:554/a@b"},
		"http://user@host/":           {"http://user@host/", "http://host/"},
		"/path?token=1":               {"/path", "/path"},
		"":                            {"", ""},
		"http://host":                 {"http://host", "http://host"},
		"sip:+4930:7@192.0.2.1:5060":  {"sip:+4930@192.0.2.1:5060", "sip:192.0.2.1:5060"},
		"http://u:p@host?next=a@b:c/": {"http://u@host", "http://host"},
	} {
		if got := string(parse.NoPassword(nil, []byte(in), false)); got != want[0] {
			t.Errorf("%q without its password is %q, want %q", in, got, want[0])
		}
		if got := string(parse.NoPassword(nil, []byte(in), true)); got != want[1] {
			t.Errorf("%q without its user is %q, want %q", in, got, want[1])
		}
	}
}
