package guard

import (
	"fmt"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// Bounds of the meter.
const (
	maxMetered = 1 << 17     // peels that are remembered
	allowance  = 2           // seconds whose messages may come at once
	floodGap   = time.Second // a pause that ends an excess
)

// meter counts what each peel sends, over all subjects that it may publish.
type meter struct {
	limits Limits

	mu sync.Mutex
	by map[fleet.PeelID]*flow
}

// flow is what one peel has sent lately.
type flow struct {
	msgs, bytes float64   // what is left of its allowance
	at          time.Time // when that was counted
	since, last time.Time // of an excess without a pause: its begin, and its last message
	over        int64     // messages that were dropped in it
	size        int64     // and their bytes
	told        time.Time // when it was reported
}

func newMeter(limits Limits) *meter { return &meter{limits: limits, by: map[fleet.PeelID]*flow{}} }

// take counts a message. It reports whether it may pass, and says what there
// is to report when the peel has been above its pace for too long.
func (m *meter) take(id fleet.PeelID, size int, now time.Time) (pass bool, report string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.by[id]
	if f == nil {
		if len(m.by) >= maxMetered {
			m.shed(now)
		}
		f = &flow{msgs: m.maxMessages(), bytes: m.maxBytes(), at: now}
		m.by[id] = f
	}
	m.refill(f, now)
	if f.msgs >= 1 && f.bytes >= float64(size) {
		f.msgs--
		f.bytes -= float64(size)
		return true, ""
	}
	if now.Sub(f.last) > floodGap {
		f.since, f.over, f.size = now, 0, 0
	}
	f.last = now
	f.over++
	f.size += int64(size)
	lasted := now.Sub(f.since)
	if lasted < time.Duration(m.limits.Seconds)*time.Second || now.Sub(f.told) < tellAgain {
		return false, ""
	}
	f.told = now
	return false, fmt.Sprintf("for %s it has sent more than %d messages or %d bytes a second; %d messages with %d bytes were dropped",
		lasted.Round(time.Second), m.limits.Messages, int64(m.limits.Bytes), f.over, f.size)
}

// above reports whether a peel is above its pace just now, without counting.
func (m *meter) above(id fleet.PeelID, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.by[id]
	return f != nil && !f.last.IsZero() && now.Sub(f.last) < floodGap/4
}

func (m *meter) refill(f *flow, now time.Time) {
	passed := now.Sub(f.at).Seconds()
	if passed <= 0 {
		return
	}
	f.at = now
	f.msgs = min(m.maxMessages(), f.msgs+passed*float64(m.limits.Messages))
	f.bytes = min(m.maxBytes(), f.bytes+passed*float64(m.limits.Bytes))
}

func (m *meter) maxMessages() float64 { return allowance * float64(m.limits.Messages) }
func (m *meter) maxBytes() float64    { return allowance * float64(m.limits.Bytes) }

// shed forgets the peels that have their full allowance again, and when there
// are none, all.
func (m *meter) shed(now time.Time) {
	before := len(m.by)
	for id, f := range m.by {
		if now.Sub(f.at) > allowance*time.Second && now.Sub(f.told) > tellAgain {
			delete(m.by, id)
		}
	}
	if len(m.by) == before {
		clear(m.by)
	}
}
