package cli_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/network/store"
)

// TestStorage shows every kind with its size, and when what goes next.
func TestStorage(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Network.RecordRows = map[string][]store.Record{"http": httpRecords()}
	golden(t, "storage", on(t, s).transcript(t, []string{"storage"}, []string{"storage", "--tenants"}, []string{"storage", "--help"}))
	code, out, stderr := on(t, s).run(t, "storage", "-o", "json")
	for _, k := range store.Kinds() {
		if !strings.Contains(out, `"kind": "`+k.Name+`"`) {
			t.Errorf("%s is not told of", k.Name)
		}
	}
	if code != 0 || !strings.Contains(out, `"reason": "age"`) {
		t.Errorf("exit code %d, %s\n%s", code, stderr, out)
	}
}
