package target_test

import (
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/fleet/target"
)

func TestListed(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"L@b,a":                           "[a b]",
		"web-* or L@b,a and not L@c or b": "[a b]",
		"not (L@a or L@b)":                "[]",
		"(L@a or G@os:Debian) and L@a":    "[a]",
		"N@some or L@d":                   "[d e]",
		"web-01":                          "[]",
	} {
		e, err := target.Parse(expr)
		if err == nil {
			e, err = e.Resolve(func(string) (string, bool) { return "L@e", true })
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(e.Listed()); got != want {
			t.Errorf("%s lists %s, want %s", expr, got, want)
		}
	}
	e, err := target.Parse("N@some or L@d")
	if err != nil || fmt.Sprint(e.Listed()) != "[d]" {
		t.Errorf("unresolved: %v %v", e.Listed(), err)
	}
}
