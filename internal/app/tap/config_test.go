package tap

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/app/daemon"
)

var update = flag.Bool("update", false, "write the golden files")

// TestConfigGolden shows what a small file makes of every key, and that the
// mistakes in another are named with line, key and what to choose.
func TestConfigGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"config", "mistakes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			file := filepath.Join("testdata", name+".yaml")
			Main([]string{"config", "dump", "--data", "/data", "--config", file}, &out, &out)
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v (make it with -update)", err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("-golden +now:\n%s", diff)
			}
		})
	}
}

// TestEveryKeyIsDocumented looks for each key in the pages about a tap: by its
// whole name, or by the last part of it in a piece of a configuration file.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	var pages strings.Builder
	for _, page := range []string{"tap", "capture", "flows", "parsers", "tuning", "wifi", "ledger"} {
		text, err := os.ReadFile("../../../docs/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		pages.Write(text)
	}
	var dump strings.Builder
	if code := daemon.Execute(command(), []string{"config", "dump", "--data", t.TempDir(), "--config", os.DevNull}, &dump, &dump); code != 0 {
		t.Fatalf("exit code %d: %s", code, dump.String())
	}
	keys := 0
	for line := range strings.Lines(dump.String()) {
		key, _, _ := strings.Cut(line, " ")
		if key == "KEY" {
			continue
		}
		keys++
		last := key[strings.LastIndexByte(key, '.')+1:]
		if !strings.Contains(pages.String(), "`"+key) && !regexp.MustCompile(`(?m)\b`+last+`: |\.`+last+"`|`"+last+"`").MatchString(pages.String()) {
			t.Errorf("%s stands in no page about a tap", key)
		}
	}
	if keys < 30 {
		t.Errorf("%d keys were found in\n%s", keys, dump.String())
	}
}
