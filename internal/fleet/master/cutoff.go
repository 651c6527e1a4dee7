package master

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// Bounds of what is cut off at the same time.
const (
	cutWorkers = 8
	cutWait    = 15 * time.Second
)

// cutOff has a peel kept off the bus, in the background. Whoever measures a
// peel that is there still reports it again after a while, so that nothing is
// done when too many are cut off at once.
func (m *Master) cutOff(l *live, id fleet.PeelID, s fleet.Suspension) {
	m.metrics.cutOff.WithLabelValues(s.Reason).Inc()
	if m.deps.Suspend == nil {
		m.log.Error("a peel should be kept off the bus, but this master cannot do that", "peel", id, "reason", s.Reason, "why", s.Detail)
		return
	}
	select {
	case l.cutting <- struct{}{}:
	default:
		m.log.Error("too many peels are cut off at once; this one follows when it goes on", "peel", id, "reason", s.Reason, "why", s.Detail)
		return
	}
	l.wg.Go(func() {
		defer func() { <-l.cutting }()
		ctx, cancel := context.WithTimeout(l.ctx, cutWait)
		defer cancel()
		if err := m.deps.Suspend(ctx, id, s, "master "+m.name); err != nil && l.ctx.Err() == nil {
			m.log.Error("cannot cut off a peel", "peel", id, "reason", s.Reason, "why", s.Detail, "error", err)
			return
		}
		m.changes.notify()
	})
}

// suspension returns why a peel is kept off the bus, if it is.
func (m *Master) suspension(id fleet.PeelID) *fleet.Suspension {
	if m.deps.Suspended == nil {
		return nil
	}
	s, ok := m.deps.Suspended(id)
	if !ok {
		return nil
	}
	return &s
}

// Passes counts a message of a peel that another room of this process takes
// from the bus, and reports whether the peel's pace allows it.
func (m *Master) Passes(id fleet.PeelID, size int) bool {
	l, err := m.running()
	return err != nil || l.guard.Passes(id, size)
}
