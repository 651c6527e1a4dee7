package returns

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// ByPeel orders returns by their peels.
func ByPeel(a, b fleet.Return) int { return strings.Compare(string(a.Peel), string(b.Peel)) }

// Summarise counts returns against the sorted targets.
func Summarise(targets []fleet.PeelID, returns []fleet.Return) fleet.Summary {
	s := fleet.Summary{Targeted: len(targets)}
	answered := make(map[fleet.PeelID]bool, len(returns))
	for _, r := range returns {
		if answered[r.Peel] {
			continue
		}
		answered[r.Peel] = true
		s.Answered++
		if !r.OK {
			s.Failed++
		}
	}
	for _, id := range targets {
		if !answered[id] {
			s.MissingPeels = append(s.MissingPeels, id)
		}
	}
	s.Missing = len(s.MissingPeels)
	return s
}
