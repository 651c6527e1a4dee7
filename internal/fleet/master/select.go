package master

import (
	"context"
	"maps"
	"net/netip"
	"slices"

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

// Owners returns what each enrolled peel is known by on the wire; ok is false
// while the master does not run, and so does not know.
func (m *Master) Owners() (all []fleet.HostAddresses, ok bool) {
	l, err := m.running()
	if err != nil {
		return nil, false
	}
	all = l.roster.All.Owners()
	return slices.DeleteFunc(all, func(h fleet.HostAddresses) bool { return !l.roster.Enrolled(h.ID) }), true
}
