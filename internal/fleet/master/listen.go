package master

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// listen subscribes to what comes over core subjects.
func (m *Master) listen(l *live) error {
	if err := l.subscribe(l.nc, bus.AllForwarded, anyNumber, func(msg *nats.Msg) { m.onForwarded(l, msg) }); err != nil {
		return err
	}
	beats := []string{bus.AllHeartbeats}
	if m.deps.System == nil { // nothing else tells who is there
		beats = append(beats, bus.AllStill)
	}
	for _, subject := range beats {
		if err := l.subscribe(l.nc, subject, mostWaiting, l.guard.Metered(true, func(msg *nats.Msg) { m.onBeat(l, msg) })); err != nil {
			return err
		}
	}
	if err := m.listenForReturning(l); err != nil {
		return err
	}
	if err := l.nc.FlushTimeout(10 * time.Second); err != nil {
		return fmt.Errorf("subscribing to returns: %w", err)
	}
	if m.deps.System == nil {
		return nil
	}
	return m.followConnections(l, m.deps.System())
}

// Bounds of what waits in memory to be read of one subscription. What a peel
// asks again when it gets no answer is bounded by a number too: behind a longer
// queue every answer would come when nobody waits for it any more, and asking
// again would make the queue longer still.
const (
	maxPending  = 512 << 20 // bytes
	anyNumber   = -1
	mostWaiting = 4096 // some two seconds of work
)

func (l *live) subscribe(nc *nats.Conn, subject string, most int, fn nats.MsgHandler) error {
	sub, err := nc.Subscribe(subject, fn)
	if err == nil {
		err = l.bound(sub, most)
	}
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	return nil
}

// bound keeps a subscription, with at most so many messages that wait.
func (l *live) bound(sub *nats.Subscription, most int) error {
	l.subs = append(l.subs, sub)
	return sub.SetPendingLimits(most, maxPending)
}

// countDropped counts what found a subscription's queue full.
func (m *Master) countDropped(l *live) {
	dropped := 0
	for _, s := range l.subs {
		n, err := s.Dropped()
		if err == nil {
			dropped += n
		}
	}
	if dropped > l.dropped {
		m.metrics.dropped.Add(float64(dropped - l.dropped))
	}
	l.dropped = dropped
}
