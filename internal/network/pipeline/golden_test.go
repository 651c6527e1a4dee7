package pipeline_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// rowsOf returns the rows of a report's lists, as JSON, by kind.
func rowsOf(t *testing.T, b []byte) map[string][]string {
	t.Helper()
	var lists map[string]json.RawMessage
	if err := json.NewDecoder(strings.NewReader(string(b))).Decode(&lists); err != nil {
		return nil // a golden file of another form
	}
	out := map[string][]string{}
	for kind, list := range lists {
		var rows []any
		if json.Unmarshal(list, &rows) != nil {
			continue
		}
		for _, r := range rows {
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			out[kind] = append(out[kind], string(text))
		}
	}
	return out
}

// TestGoldenRows: what a parser finds in a capture when it is given the right
// streams, the pipeline finds in that capture by itself, on whatever port.
func TestGoldenRows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../packet/*/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	compared := 0
	for _, golden := range files {
		name := strings.TrimPrefix(strings.TrimSuffix(golden, ".json"), "../packet/")
		path := strings.TrimSuffix(golden, ".json") + ".pcap"
		if _, err := os.Stat(path); err != nil {
			continue // of frames that a test makes
		}
		b, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		want, got := rowsOf(t, b), map[string]map[string]int{}
		f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p := pipeline.New(pipeline.Config{MaxFlows: 4096})
		err = pipeline.ReadFile(t.Context(), f, p, func(r network.Report) error {
			b, err := json.Marshal(r)
			for kind, rows := range rowsOf(t, b) {
				if got[kind] == nil {
					got[kind] = map[string]int{}
				}
				for _, row := range rows {
					got[kind][row]++
				}
			}
			return err
		})
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for kind, rows := range want {
			for _, row := range rows {
				if n := got[kind][row]; n > 0 {
					got[kind][row]--
				} else {
					t.Errorf("%s: the pipeline has not the row of %s\n%s\nbut %v", name, kind, row, got[kind])
				}
				compared++
			}
		}
	}
	if compared < 100 {
		t.Errorf("%d rows were compared", compared)
	}
}
