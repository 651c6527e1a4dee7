package tap

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// jsonSink writes each report as one line of JSON.
type jsonSink struct {
	encode   *json.Encoder
	id       network.TapID
	boot     string
	sequence uint64
}

func newJSONSink(opts ReadOptions) *jsonSink {
	return &jsonSink{encode: json.NewEncoder(opts.Out), id: "file"}
}

func (s *jsonSink) begin(_ context.Context, path string) (err error) {
	s.sequence = 0
	s.boot, err = fileBoot(path)
	return err
}

func (s *jsonSink) report(_ context.Context, r *network.Report) error {
	s.sequence++
	r.Identity = network.Identity{Tap: s.id, Boot: s.boot, Sequence: s.sequence}
	line := jsonReport{r, rowCounts(r)}
	if err := s.encode.Encode(line); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return nil
}

// jsonReport is the JSON form of a report, and how many rows of each kind it
// has.
type jsonReport struct {
	*network.Report
	Rows map[string]int `json:"rows"`
}

// rowCounts says how many rows of each kind a report has; kinds without rows
// are left out.
func rowCounts(r *network.Report) map[string]int {
	out := map[string]int{}
	for kind, n := range map[string]int{"flows": len(r.Flows), "dns": len(r.DNS), "tls": len(r.TLS)} {
		if n > 0 {
			out[kind] = n
		}
	}
	for _, k := range record.Kinds() {
		if n := k.Rows(&r.Records).Len(); n > 0 {
			out[k.Name] = n
		}
	}
	return out
}

func (s *jsonSink) end(context.Context, error) error { return nil }
func (s *jsonSink) close() error                     { return nil }
