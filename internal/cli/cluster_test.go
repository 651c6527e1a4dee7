package cli_test

import (
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	golden(t, "cluster", on(t, s).transcript(t,
		[]string{"cluster", "status"},
		[]string{"cluster", "tasks"},
		[]string{"cluster", "retry", "t1"},
		[]string{"cluster", "retry", "t9"},
		[]string{"cluster", "tasks", "-o", "ndjson"},
		[]string{"node", "drain"},
		[]string{"node", "drain", "node-2", "-o", "json"},
		[]string{"node", "undrain", "node-1"},
		[]string{"node", "drain", "node-9"},
		[]string{"cluster", "status"},
		[]string{"node", "drain", "--help"},
		[]string{"audit", "list"},
	))
}
