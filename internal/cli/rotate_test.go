package cli_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
)

func TestRotate(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	golden(t, "rotate", on(t, s).transcript(t,
		[]string{"server", "rotate", "scoped-key"},
		[]string{"server", "rotate", "master-key", "-o", "json"},
		[]string{"server", "rotate", "master-key"},
		[]string{"server", "rotate", "root"},
		[]string{"server", "rotate"},
		[]string{"audit", "list"},
	))
	if code, out, _ := on(t, s).run(t, "server", "rotate", "--help"); code != 0 || !strings.Contains(out, "rind server rotate scoped-key") {
		t.Errorf("the help is %q", out)
	}
}
