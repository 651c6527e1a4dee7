package tap

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
