package record

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Limits of a target list.
const (
	targetsChunk  = 512 << 10 // compressed bytes in one key
	maxTargetList = 64 << 20  // a million ids
)

// chunk is a piece of a target list: ids, a line each, compressed by DEFLATE
// as a whole and then cut.
type chunk struct {
	Deflate []byte `json:"deflate"`
}

func packTargets(ids []fleet.PeelID) ([][]byte, error) {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, err := io.WriteString(w, string(id)+"\n"); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var out [][]byte
	for all := buf.Bytes(); len(all) > 0; all = all[min(targetsChunk, len(all)):] {
		b, err := json.Marshal(chunk{all[:min(targetsChunk, len(all))]})
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func unpackTargets(packed []byte) ([]fleet.PeelID, error) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxTargetList))
	if err != nil {
		return nil, fmt.Errorf("unpacking a target list: %w", err)
	}
	var ids []fleet.PeelID
	for line := range strings.Lines(string(text)) {
		id, err := fleet.ParsePeelID(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("unpacking a target list: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func targetsKey(jid string, n int) string { return fmt.Sprintf("%s.targets.%d", jid, n) }

// Targets reads whom a job was for.
func (s *Store) Targets(ctx context.Context, r *Record) ([]fleet.PeelID, error) {
	var packed []byte
	for n := range r.Chunks {
		e, err := s.deps.Jobs.Get(ctx, targetsKey(r.JID, n))
		if err != nil {
			return nil, fmt.Errorf("reading the targets of %s: %w", r.JID, bus.Explain(bus.Jobs, err))
		}
		var c chunk
		if err := json.Unmarshal(e.Value(), &c); err != nil {
			return nil, fmt.Errorf("reading the targets of %s: %w", r.JID, err)
		}
		packed = append(packed, c.Deflate...)
	}
	return unpackTargets(packed)
}
