package master

import (
	"context"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// expression reads a target, with its named groups and all settings as they
// are now.
func (m *Master) expression(ctx context.Context, text string) (*target.Expr, error) {
	expr, err := m.named(ctx, text)
	if err != nil || expr.SettingColumn() == 0 || m.deps.Settings == nil {
		return expr, err
	}
	l, err := m.running()
	if err != nil {
		return nil, err
	}
	if err := l.roster.Fresh(ctx); err != nil {
		return nil, err
	}
	return expr, m.deps.Settings.Settle(ctx)
}

// named reads a target with its named groups.
func (m *Master) named(ctx context.Context, text string) (*target.Expr, error) {
	expr, err := target.Parse(text)
	if err != nil {
		return nil, err
	}
	if m.deps.Group == nil {
		return expr.Resolve(nil)
	}
	var failed error
	expr, err = expr.Resolve(func(name string) (string, bool) {
		text, ok, err := m.deps.Group(ctx, name)
		if err != nil {
			failed = err
		}
		return text, ok && err == nil
	})
	if failed != nil {
		return nil, errs.New(errs.Unavailable, "the named groups cannot be asked just now: %w", failed)
	}
	return expr, err
}

// TestTarget says whom a target means among the enrolled peels, and why. The
// limits are those of Peels.
func (m *Master) TestTarget(ctx context.Context, q PeelQuery) (fleet.TargetTest, error) {
	l, err := m.running()
	if err != nil {
		return fleet.TargetTest{}, err
	}
	expr, err := m.expression(ctx, q.Match)
	if err != nil {
		return fleet.TargetTest{}, err
	}
	if err := l.roster.Fresh(ctx); err != nil {
		return fleet.TargetTest{}, err
	}
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	return l.roster.Targets.Test(ctx, expr, q.After, min(q.Limit, maxPage))
}
