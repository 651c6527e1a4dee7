package master

import (
	"context"
	"maps"
	"net/netip"

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

// Hosts returns which enrolled peel has which address, of those that only one
// has; none while the master does not run.
func (m *Master) Hosts() map[netip.Addr]fleet.PeelID {
	l, err := m.running()
	if err != nil {
		return nil
	}
	hosts := l.roster.All.Hosts()
	maps.DeleteFunc(hosts, func(_ netip.Addr, id fleet.PeelID) bool { return !l.roster.Enrolled(id) })
	return hosts
}
