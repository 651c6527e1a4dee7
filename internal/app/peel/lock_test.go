package peel

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestOneAgentPerFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := &onlyOne{dir: dir}, &onlyOne{dir: dir}
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one: %v", err)
	}
	for range 2 {
		if err := first.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := second.Start(t.Context()); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
