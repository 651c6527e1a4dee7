package tap

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rind-project/rind/internal/network"
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
	if err := s.encode.Encode(r); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return nil
}

func (s *jsonSink) end(context.Context, error) error { return nil }
func (s *jsonSink) close() error                     { return nil }
