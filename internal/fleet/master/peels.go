package master

import (
	"context"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Limits of a page.
const (
	defaultPage = 100
	maxPage     = 10_000
)

// Peels returns a page of the peels, sorted by id and without their facts.
func (m *Master) Peels(ctx context.Context, q PeelQuery) ([]fleet.Peel, error) {
	l, err := m.running()
	if err != nil {
		return nil, err
	}
	if q.Match == "" {
		q.Match = "*"
	}
	expr, err := m.expression(ctx, q.Match)
	if err != nil {
		return nil, err
	}
	if err := l.roster.Fresh(ctx); err != nil {
		return nil, err
	}
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	ids, _, err := l.roster.All.Query(ctx, expr, q.After, min(q.Limit, maxPage))
	if err != nil {
		return nil, err
	}
	out := make([]fleet.Peel, len(ids))
	now := time.Now()
	for i, id := range ids {
		out[i], _ = m.peel(l, id, now)
		out[i].Facts = nil
	}
	return out, nil
}

// Peel returns one peel with its facts.
func (m *Master) Peel(ctx context.Context, id fleet.PeelID) (fleet.Peel, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Peel{}, err
	}
	if _, known := l.roster.All.Facts(id); !known {
		if err := l.roster.Refresh(ctx); err != nil {
			return fleet.Peel{}, err
		}
	}
	p, ok := m.peel(l, id, time.Now())
	if !ok {
		return p, errs.New(errs.NotFound, "there is no peel %q; rind peel list shows all", id)
	}
	return p, nil
}

// peel puts together what is known of a peel.
func (m *Master) peel(l *live, id fleet.PeelID, now time.Time) (fleet.Peel, bool) {
	f, ok := l.roster.All.Facts(id)
	p := fleet.Peel{ID: id, Facts: f}
	l.presence.Fill(&p, now)
	told := l.roster.Told(id)
	if told.After(p.LastSeen) {
		p.LastSeen = told
	}
	if p.Presence == fleet.Never && !told.IsZero() {
		p.Presence = fleet.Away // it was here before this master began
	}
	if p.Suspension = m.suspension(id); p.Suspension != nil {
		p.Presence, p.Since = fleet.CutOff, p.Suspension.Since
	}
	if f != nil {
		p.OS = strings.TrimSpace(f.OS + " " + f.OSVersion)
		if p.Version == "" {
			p.Version = f.Peel.Version
		}
	}
	return p, ok
}

// Forget removes what a peel that was revoked or replaced has said.
func (m *Master) Forget(ctx context.Context, id fleet.PeelID) error {
	l, err := m.running()
	if err != nil {
		return err
	}
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return errs.New(errs.Invalid, "forgetting a peel: %w", err)
	}
	if err := bus.Purge(ctx, l.js, bus.Facts, string(id)); err != nil {
		return err
	}
	l.roster.Forget(id)
	l.presence.Forget(id)
	l.guard.Forget(id)
	m.changes.notify()
	return l.roster.Refresh(ctx)
}
