package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/fleet"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(fleet.Peel{ID: "web-01", Facts: &fleet.Facts{OS: "Debian"}}, nil)
	s.Fleet.Add(fleet.Peel{ID: "db-01"}, nil)
	dir := t.TempDir()
	file := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base := file("base.yaml", "# all of them\nrole: none\nweb:\n  port: 80\n  names: [a, b]\n")
	bomb := file("bomb.yaml", "a: &a [*a]\n")
	large := file("large.yaml", "a: "+strings.Repeat("x", 300<<10)+"\n")
	term := on(t, s)
	term.in = `{"role": "deb", "escape": "` + `\u001b[2J` + `"}`
	text := term.transcript(t,
		[]string{"settings", "layer", "list"},
		[]string{"settings", "layer", "set", "base", "--target", "*", "--order", "0", "-f", base},
		[]string{"settings", "layer", "set", "debian", "--target", "G@os:Debian", "-f", "-", "-o", "json"},
		[]string{"settings", "layer", "set", "self", "--target", "web* and I@role:web", "-f", base},
		[]string{"settings", "layer", "set", "bomb", "--target", "*", "-f", bomb},
		[]string{"settings", "layer", "set", "large", "--target", "*", "-f", large},
		[]string{"settings", "layer", "set", "none", "--target", "*", "-f", filepath.Join(dir, "none.yaml")},
		[]string{"settings", "layer", "set", "none", "-f", base},
		[]string{"settings", "layer", "list"},
		[]string{"settings", "layer", "show", "base"},
		[]string{"settings", "layer", "show", "none"},
		[]string{"settings", "show", "web-01"},
		[]string{"settings", "show", "db-01", "-o", "yaml"},
		[]string{"settings", "show", "nobody"},
		[]string{"settings", "layer", "delete", "debian"},
		[]string{"settings", "layer", "delete", "debian"},
		[]string{"settings", "show", "web-01"},
	)
	golden(t, "settings", strings.ReplaceAll(text, dir, "/tmp"))
	if _, stdout, _ := term.run(t, "__complete", "settings", "layer", "show", ""); !strings.Contains(stdout, "base\t*") {
		t.Errorf("%q", stdout)
	}
}
