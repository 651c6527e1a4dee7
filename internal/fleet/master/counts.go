package master

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// maxAwayNamed is how many peels Counts names.
const maxAwayNamed = 10

// Counts says how many peels there are and where, without a look at each.
type Counts struct {
	Total     int            `json:"total"`
	Connected int            `json:"connected"`
	Away      int            `json:"away"`
	Never     int            `json:"never"`
	CutOff    int            `json:"cut_off"`              // kept off the bus
	AwayPeels []fleet.PeelID `json:"away_peels,omitempty"` // the first ten by id
}

// Counts counts the peels by presence.
func (m *Master) Counts(ctx context.Context) (Counts, error) {
	l, err := m.running()
	if err != nil {
		return Counts{}, err
	}
	if err := l.roster.Fresh(ctx); err != nil {
		return Counts{}, err
	}
	ids := l.roster.All.Select(target.Everyone(), "", 0)
	c := Counts{Total: len(ids)}
	now := time.Now()
	for _, id := range ids {
		switch m.whereIs(l, id, now) {
		case fleet.Connected:
			c.Connected++
		case fleet.Away:
			c.Away++
			if len(c.AwayPeels) < maxAwayNamed {
				c.AwayPeels = append(c.AwayPeels, id)
			}
		case fleet.CutOff:
			c.CutOff++
		default:
			c.Never++
		}
	}
	return c, nil
}

// whereIs is the presence of a peel, by the same rule as in its own record.
func (m *Master) whereIs(l *live, id fleet.PeelID, now time.Time) fleet.Presence {
	if m.suspension(id) != nil {
		return fleet.CutOff
	}
	p := fleet.Peel{ID: id}
	l.presence.Fill(&p, now)
	if p.Presence == fleet.Never && !l.roster.Told(id).IsZero() {
		return fleet.Away // it was here before this master began
	}
	return p.Presence
}
