package pipeline_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// TestApps compares the applications of the flows in each capture beside the
// parsers with a golden file: a line for each capture, with the number of flows.
func TestApps(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../packet/*/testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var all strings.Builder
	for _, path := range files {
		f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		apps := map[string]int{}
		err = pipeline.ReadFile(t.Context(), f, pipeline.New(pipeline.Config{MaxFlows: 4096}), func(r network.Report) error {
			for i := range r.Flows {
				apps[cmp.Or(r.Flows[i].App, "-")]++
			}
			return nil
		})
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		fmt.Fprintf(&all, "%s/%s:", filepath.Base(filepath.Dir(filepath.Dir(path))), filepath.Base(path))
		for _, app := range slices.Sorted(maps.Keys(apps)) {
			fmt.Fprintf(&all, " %d %s", apps[app], app)
		}
		all.WriteByte('\n')
	}
	golden := filepath.Join("testdata", "apps.txt")
	if parsetest.Update() {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if diff := gocmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("-golden +now:\n%s", diff)
	}
}
