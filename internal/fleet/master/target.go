package master

import (
	"context"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// TestTarget says whom a target means among the enrolled peels, and why. The
// limits are those of Peels.
func (m *Master) TestTarget(ctx context.Context, q PeelQuery) (fleet.TargetTest, error) {
	l, err := m.running()
	if err != nil {
		return fleet.TargetTest{}, err
	}
	expr, err := target.Parse(q.Match)
	if err != nil {
		return fleet.TargetTest{}, err
	}
	if err := l.roster.fresh(ctx); err != nil {
		return fleet.TargetTest{}, err
	}
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	return l.roster.targets.Test(ctx, expr, q.After, min(q.Limit, maxPage))
}
