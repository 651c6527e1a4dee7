package fleet

import (
	"strings"
	"testing"
)

func TestNamesOfBasketAndEvents(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for s, good := range map[string]bool{"a": true, "db_addr-2": true, long: true, long + "a": false, "": false, "A": false, "a.b": false, "*": false, ">": false, "a b": false, "ä": false, "a\x00": false} {
		if err := CheckBasketName(s); (err == nil) != good {
			t.Errorf("basket %q: %v", s, err)
		}
	}
	word := strings.Repeat("w", 32)
	for s, good := range map[string]bool{
		"disk.full": true, "a": true, "a.b.c.d.e.f.g.h": true, word + "." + word: true, word + "w": false, "a.b.c.d.e.f.g.h.i": false,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "*": false, "a.>": false, "job/done": false, "A": false, "a b": false, "a\n": false,
	} {
		if err := CheckEventName(s); (err == nil) != good {
			t.Errorf("event %q: %v", s, err)
		}
	}
}

func TestParseValue(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"5432": "5432", " [1, 2] ": "[1,2]", `{"a":"<b>"}`: `{"a":"<b>"}`, "true": "true", "10.0.0.1": `"10.0.0.1"`, "007": `"007"`, "a & b": `"a & b"`, "": `""`,
		`"quoted"`: `"quoted"`, strings.Repeat("[", 65) + strings.Repeat("]", 65): `"` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `"`,
	} {
		if got, err := ParseValue(typed); err != nil || string(got) != want {
			t.Errorf("%q: %s %v, want %s", typed, got, err, want)
		}
	}
	if _, err := ParseValue("\xff"); err == nil {
		t.Error("a text that is no UTF-8 was taken")
	}
}

func TestCheckValue(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	for in, good := range map[string]bool{
		"1": true, `"[[["`: true, `"\"[["`: true, deep: true, "[" + deep + "]": false, "": false, "{": false, "1 2": false, "\"\xff\"": false, `"` + strings.Repeat("x", 999) + `"`: false,
	} {
		if err := CheckValue([]byte(in), 1000); (err == nil) != good {
			t.Errorf("%.80q: %v", in, err)
		}
	}
}
