package local

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	for _, total := range []int{0, 1, 9, 10, 11, 19, 20, 21, 25, 30, 100, 1003} {
		for _, step := range []int{1, 3, 7, 64, 2000} {
			var all strings.Builder
			for n := range total {
				all.WriteByte('a' + byte(n%26))
			}
			k := NewKeep(20)
			for s := all.String(); s != ""; s = s[min(step, len(s)):] {
				if n, err := k.Write([]byte(s[:min(step, len(s))])); err != nil || n != min(step, len(s)) {
					t.Fatal(n, err)
				}
			}
			text, cut := k.Text()
			want, wantCut := all.String(), int64(0)
			if total > 20 {
				want, wantCut = want[:10]+"\n… cut …\n"+want[total-10:], int64(total-20)
			}
			if text != want || cut != wantCut {
				t.Fatalf("%d bytes in steps of %d: %q, %d cut; want %q, %d", total, step, text, cut, want, wantCut)
			}
		}
	}
}

func FuzzKeep(f *testing.F) {
	f.Add([]byte("äöüäöüäöüäöüäöüäöüäöüäöü"), 3)
	f.Add([]byte("\xff\xfe\xc3"), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if step <= 0 {
			return
		}
		k := NewKeep(16)
		for d := data; len(d) > 0; d = d[min(step, len(d)):] {
			k.Write(d[:min(step, len(d))])
		}
		text, cut := k.Text()
		if !utf8.ValidString(text) || cut < 0 || cut > int64(len(data)) {
			t.Errorf("%q, %d cut", text, cut)
		}
	})
}
