package peeltest_test

import (
	"testing"

	"github.com/rind-project/rind/internal/fleet/peel/peeltest"
)

func TestClientLibrary(t *testing.T) {
	t.Parallel()
	peeltest.Run(t, nil)
}
