package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api"
	"github.com/rind-project/rind/internal/api/apitest"
)

// What does not work is the first that the overview says.
func TestOverviewSaysWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, func(d *api.Deps) {
		d.Problems = func(context.Context) []string {
			return []string{"buckets: gone from the bus: facts; nothing is written to what is gone until it is brought back with rind restore"}
		}
	})
	code, out, _ := on(t, s).run(t, "overview", "--wide")
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) < 2 || !strings.HasPrefix(lines[1], "problem") || !strings.Contains(lines[1], "rind restore") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if code, out, _ = on(t, s).run(t, "overview", "-o", "json"); code != 0 || !strings.Contains(out, `"problems": [`) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
