package uplink

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/network"
)

const stateName = "state.json"

// state is what a spool remembers of its boots. It is written durably before
// a report can leave the spool, so it never lags behind what was delivered.
type state struct {
	Run      uint64       `json:"run"` // number of the boot
	Boot     string       `json:"boot"`
	Start    time.Time    `json:"start"`
	Clean    bool         `json:"clean"` // ended by End
	Sequence uint64       `json:"sequence"`
	End      time.Time    `json:"end"`           // of the report with that sequence
	Gap      *network.Gap `json:"gap,omitempty"` // still to be reported by this boot's first report

	Dropped      uint64 `json:"dropped"`       // reports pushed out by the bounds, in all boots
	DroppedBytes uint64 `json:"dropped_bytes"` // their size
	Quarantined  uint64 `json:"quarantined"`   // reports put aside, in all boots
}

// readState returns the zero state when there is none. A damaged one is told,
// and taken for an unclean end of an unknown boot.
func readState(dir string) (s state, damaged error, err error) {
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, os.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return s, nil, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return state{}, fmt.Errorf("reading %s: %w", stateName, err), nil
	}
	return s, nil, nil
}

func (s state) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, stateName), append(b, '\n'))
}

// next is the state of the boot that begins now, with the gap that its first
// report must carry.
func (s state) next(boot string, start time.Time) state {
	n := state{Run: s.Run + 1, Boot: boot, Start: start, Dropped: s.Dropped, DroppedBytes: s.DroppedBytes, Quarantined: s.Quarantined}
	switch {
	case s.Gap != nil && s.Sequence == 0:
		// The boot before was to tell a gap and did not come to it. Nothing
		// was reported since, so that gap ends now.
		gap := *s.Gap
		gap.To = start
		n.Gap = &gap
	case s.Boot != "" && !s.Clean && s.Sequence > 0:
		n.Gap = &network.Gap{Boot: s.Boot, Sequence: s.Sequence, From: s.End, To: start}
	case s.Boot != "" && !s.Clean:
		n.Gap = &network.Gap{Boot: s.Boot, From: s.Start, To: start}
	}
	return n
}
