package target_test

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr    string
		yes, no []fleet.PeelID
	}{
		{"*", []fleet.PeelID{"a", "web-01_example_org"}, nil},
		{"**", []fleet.PeelID{"a"}, nil},
		{"web", []fleet.PeelID{"web"}, []fleet.PeelID{"web1", "we", "xweb"}},
		{"web*", []fleet.PeelID{"web", "web-1"}, []fleet.PeelID{"we", "xweb"}},
		{"*web", []fleet.PeelID{"web", "my-web", "webweb"}, []fleet.PeelID{"webs"}},
		{"web*-prod", []fleet.PeelID{"web-prod", "web1-prod", "web-prod-prod"}, []fleet.PeelID{"web-prod1", "web"}},
		{"w?b", []fleet.PeelID{"web", "w-b"}, []fleet.PeelID{"wb", "weeb"}},
		{"web-[0-3]", []fleet.PeelID{"web-0", "web-3"}, []fleet.PeelID{"web-4", "web-", "web-10"}},
		{"web-[!0-3]", []fleet.PeelID{"web-4", "web-x"}, []fleet.PeelID{"web-0"}},
		{"web-[^0-3]", []fleet.PeelID{"web-4"}, []fleet.PeelID{"web-0"}},
		{"[ab-]*", []fleet.PeelID{"a1", "b", "-"}, []fleet.PeelID{"c"}},
	}
	for _, tt := range tests {
		e, err := target.Parse(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		for _, id := range tt.yes {
			if !e.Match(id, nil) {
				t.Errorf("%s does not match %s", tt.expr, id)
			}
		}
		for _, id := range tt.no {
			if e.Match(id, nil) {
				t.Errorf("%s matches %s", tt.expr, id)
			}
		}
		if all := tt.expr == "*" || tt.expr == "**"; e.All() != all {
			t.Errorf("%s: all is %v", tt.expr, e.All())
		}
	}
}

func TestErrorsPointAtTheColumn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr   string
		column int
		has    string
	}{
		{"", 1, "empty"},
		{"  ", 1, "empty"},
		{"Web", 1, "lower case"},
		{"web.example", 4, "dot"},
		{"web db", 5, "and or or is missing"},
		{"web,db", 4, "L@a,b"},
		{"web-[a", 5, "not closed"},
		{"web-[]", 5, "empty"},
		{"web-[z-a]", 6, "upside down"},
		{"web]", 4, "closes no class"},
		{"wéb", 2, "a-z"},
		{"web\x00", 4, "can match no peel"},
		{"(web", 1, "not closed"},
		{"web)", 4, "closes nothing"},
		{"web and (db or (x)", 9, "not closed"},
		{"()", 2, "missing before the parenthesis"},
		{"web and", 8, "missing at the end"},
		{"and web", 1, "missing before and"},
		{"web or or db", 8, "missing before or"},
		{"not", 4, "missing at the end"},
		{"web AND db", 5, "and or or is missing"},
		{"\"web", 1, "not closed"},
		{"web and ''", 9, "nothing between the quotes"},
		{"X@y", 1, "no kind of target"},
		{"g@os:Debian", 1, "write G@"},
		{"G@", 3, "missing behind G@"},
		{"L@a,,b", 5, "missing"},
		{"L@a,b*", 6, "no globs"},
		{"L@a,B", 5, "lower case"},
		{"E@web(", 6, "not closed"},
		{"E@'web('", 4, "missing closing )"},
		{"web*(a and b", 5, "not closed"},
		{"E@a(?=b)", 4, "(?="},
		{"not E@'a b[' and x", 11, "missing closing ]"},
		{"E@" + strings.Repeat("a", target.MaxPattern+1), 3, "at most 1024"},
		{"G@os", 5, "one of : !="},
		{"G@os=Debian", 5, "colon"},
		{"G@:x", 3, "key is expected"},
		{"G@a..b:x", 4, "beside a dot"},
		{"G@os:", 6, "value is missing"},
		{"G@os:[a", 6, "not closed"},
		{"G@mem.total>8G", 13, "8GB"},
		{"G@mem.total>99999999999999EB", 13, "too large"},
		{"G@mem.total>8*", 14, "no size"},
		{"G@mem.total>8XB", 14, "XB is no unit"},
		{"G@mem.total<8Gi", 14, "KiB, MiB, GiB"},
		{"P@kernel", 9, "colon"},
		{"P@kernel:", 10, "missing"},
		{"P@kernel:a**", 11, "repetition"},
		{"S@10.0.0.0/33", 3, "no network"},
		{"S@10.1.0.0/8", 3, "did you mean 10.0.0.0/8"},
		{"S@host", 3, "no address"},
		{"N@a/b", 4, "name of a group"},
		{"web-* and G@os:Debian and G@mem.total>8K", 39, "8KiB"},
		{strings.Repeat("(", 40) + "a" + strings.Repeat(")", 40), 33, "too deeply"},
		{strings.Repeat("not ", 40) + "a", 129, "too deeply"},
		{strings.Repeat("a or ", 256) + "a", 1281, "too many terms"},
		{strings.Repeat("E@a or ", 16) + "E@a", 113, "too many regular"},
	}
	for _, tt := range tests {
		_, err := target.Parse(tt.expr)
		se, ok := errors.AsType[*target.SyntaxError](err)
		if !ok || !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", tt.expr, err)
			continue
		}
		if se.Column != tt.column || !strings.Contains(se.Msg, tt.has) {
			t.Errorf("%q: column %d: %s; want column %d with %q", tt.expr, se.Column, se.Msg, tt.column, tt.has)
		}
	}
	if _, err := target.Parse(strings.Repeat("a", target.MaxExpr+1)); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a long one: %v", err)
	}
}

func TestManyStarsAreQuick(t *testing.T) {
	t.Parallel()
	e, err := target.Parse(strings.Repeat("*a", 500) + "*b")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 1000 {
		if e.Match(fleet.PeelID(strings.Repeat("a", 63)), nil) {
			t.Fatal("it matches")
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("1000 matches took %s", took)
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	x := target.NewIndex()
	for n := 99; n >= 0; n-- {
		x.Put(fleet.PeelID(fmt.Sprintf("web-%02d", n)), nil)
		x.Put(fleet.PeelID(fmt.Sprintf("db-%02d", n)), nil)
	}
	x.Remove("web-07")
	x.Put("web-08", &fleet.Facts{OS: "Debian"})
	parse := func(s string) *target.Expr {
		e, err := target.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	tests := []struct {
		expr, after string
		limit       int
		want        []fleet.PeelID
	}{
		{"web-0[6-9]", "", 0, []fleet.PeelID{"web-06", "web-08", "web-09"}},
		{"web-0[6-9]", "", 2, []fleet.PeelID{"web-06", "web-08"}},
		{"web-0[6-9]", "web-08", 2, []fleet.PeelID{"web-09"}},
		{"web-0[6-9]", "web-07", 1, []fleet.PeelID{"web-08"}},
		{"web-0[6-9]", "zzz", 0, nil},
		{"*-00", "", 0, []fleet.PeelID{"db-00", "web-00"}},
		{"web-42", "", 0, []fleet.PeelID{"web-42"}},
		{"nobody*", "", 0, nil},
		{"*", "web-97", 0, []fleet.PeelID{"web-98", "web-99"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, x.Select(parse(tt.expr), fleet.PeelID(tt.after), tt.limit)); diff != "" {
			t.Errorf("%s after %q (-want +got):\n%s", tt.expr, tt.after, diff)
		}
	}
	if f, ok := x.Facts("web-08"); !ok || f.OS != "Debian" || x.Len() != 199 {
		t.Errorf("facts %v, %v; %d peels", f, ok, x.Len())
	}
}

// FuzzGlob compares with path.Match, which knows the same elements for ids.
func FuzzGlob(f *testing.F) {
	for _, s := range []string{"*", "web-[0-9]*", "a?c*", "[^a-c]x", "**a*"} {
		f.Add(s, "web-01")
	}
	f.Fuzz(func(t *testing.T, expr, id string) {
		e, err := target.Parse(expr)
		if err != nil {
			return
		}
		// What is more than a glob, or written in another way there.
		if strings.ContainsAny(expr, "\\!@()'\"") || strings.ContainsFunc(expr, unicode.IsSpace) {
			return
		}
		if _, err := fleet.ParsePeelID(id); err != nil || strings.Contains(expr, "[-") || strings.Contains(expr, "-]") || strings.Contains(expr, "[^") {
			return
		}
		want, err := path.Match(expr, id)
		if err == nil && e.Match(fleet.PeelID(id), nil) != want {
			t.Errorf("%q on %q: %v, path.Match says %v", expr, id, !want, want)
		}
	})
}
