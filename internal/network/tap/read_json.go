package tap

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"

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

// fileBoot is the boot id of a file: a UUID made of its contents, so that the
// same file delivered twice is counted once. What can be read only once, such
// as a pipe, gets a new one.
func fileBoot(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		boot, err := uuid.NewV7()
		return boot.String(), err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return uuid.NewHash(sha256.New(), uuid.NameSpaceOID, h.Sum(nil), 8).String(), nil
}
