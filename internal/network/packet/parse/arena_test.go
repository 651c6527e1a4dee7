package parse_test

import (
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

// TestAppend makes more texts and lists than one chunk holds: none changes
// another, also not those of the report before.
func TestAppend(t *testing.T) {
	out := parse.NewOut(1, 1<<20)
	var lists [][]string
	for i := range 2000 {
		var list []string
		for j := range i % 7 {
			list = out.Append(list, out.Text(fmt.Appendf(nil, "text %d of list %d with something behind", j, i)))
		}
		lists = append(lists, list)
		if i == 1000 {
			out.Cut()
		}
	}
	for i, list := range lists {
		if len(list) != i%7 {
			t.Fatalf("list %d has %d texts", i, len(list))
		}
		for j, s := range list {
			if want := fmt.Sprintf("text %d of list %d with something behind", j, i); s != want {
				t.Fatalf("%q became %q", want, s)
			}
		}
		_ = append(list, "not in the next list")
	}
	if n := testing.AllocsPerRun(100, func() {
		list := out.Append(nil, out.Text([]byte("a text")))
		_ = out.Append(list, "b")
	}); n > 0.1 {
		t.Errorf("%v allocations for a list of two", n)
	}
}
