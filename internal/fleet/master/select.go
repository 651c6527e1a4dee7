package master

import (
	"context"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// Select returns all enrolled peels that a target means, sorted.
func (m *Master) Select(ctx context.Context, expr string) ([]fleet.PeelID, error) {
	l, err := m.running()
	if err != nil {
		return nil, err
	}
	parsed, err := target.Parse(expr)
	if err != nil {
		return nil, err
	}
	if err := l.roster.Fresh(ctx); err != nil {
		return nil, err
	}
	ids, _, err := l.roster.Targets.Query(ctx, parsed, "", 0)
	return ids, err
}
