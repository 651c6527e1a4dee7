package schema

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the reference page")

func TestReferencePage(t *testing.T) {
	t.Parallel()
	const page = "../../../../../docs/functions.md"
	want := Markdown(All())
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/functions.md is out of date; go test ./internal/fleet/job/function/schema -update writes it (-page +schema):\n%s", diff)
	}
}

// TestSchemas holds every schema against the rules of decoding: required
// arguments first, defaults that decode, examples that do.
func TestSchemas(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range All() {
		if names[f.Name] || !strings.HasSuffix(f.Doc, ".") || f.Family() == f.Name || len(f.Platforms) == 0 {
			t.Errorf("%s: doubled, or without documentation or platforms", f.Name)
		}
		names[f.Name] = true
		optional, seen := false, map[string]bool{}
		for _, a := range f.Args {
			if a.Required && optional || seen[a.Name] || !isName(a.Name) || a.Doc == "" || a.Many && a.Type != List {
				t.Errorf("%s: %s is doubled, out of order, or without documentation", f.Name, a.Name)
			}
			optional, seen[a.Name] = !a.Required, true
			if a.Default != "" {
				if _, err := a.parse(a.Default); err != nil {
					t.Errorf("%s: the default of %s %v", f.Name, a.Name, err)
				}
			}
		}
		if _, err := f.Decode(shellWords(f.Example)); err != nil {
			t.Errorf("the example of %s: %v", f.Name, err)
		}
		if len(f.Args) > 0 && f.Args[0].Required && f.Example == "" {
			t.Errorf("%s has no example", f.Name)
		}
	}
	if len(names) < 60 {
		t.Errorf("there are %d functions", len(names))
	}
}

// shellWords splits at blanks outside of quotes.
func shellWords(s string) []string {
	var out []string
	var quote rune
	word, in := "", false
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && r == ' ':
			if in {
				out = append(out, word)
			}
			word, in = "", false
		default:
			word, in = word+string(r), true
		}
	}
	if in {
		out = append(out, word)
	}
	return out
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]int{"pkg": 7, "test.*": 5, "file.read": 1, "grains": 5} {
		if got, err := Match(All(), pattern); err != nil || len(got) != want {
			t.Errorf("%s: %d functions, %v, want %d", pattern, len(got), err, want)
		}
	}
	if _, err := Match(All(), "pgk"); err == nil {
		t.Error("a family that is not there was found")
	}
	if _, err := Match(All(), "["); err == nil || !strings.Contains(err.Error(), "no glob") {
		t.Errorf("got %v", err)
	}
}
