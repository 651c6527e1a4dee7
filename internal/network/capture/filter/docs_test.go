package filter_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network/capture/filter"
	"github.com/rind-project/rind/internal/network/packet"
)

// TestDocumentedFilters compiles what docs/capture.md shows.
func TestDocumentedFilters(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../../docs/capture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "## Filters")
	text, _, _ = strings.Cut(text, "To know:")
	apart, n := regexp.MustCompile(`\s{2,}`), 0
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(line, "    ")
		if !ok {
			continue
		}
		for _, expr := range apart.Split(strings.TrimSpace(line), -1) {
			n++
			if _, err := filter.Compile(expr, filter.Options{Link: packet.LinkEthernet}); err != nil {
				t.Error(err)
			}
		}
	}
	if n < 18 {
		t.Errorf("%d expressions were found", n)
	}
}
