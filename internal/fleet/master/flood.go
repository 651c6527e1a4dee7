package master

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// FloodConfig says how much a peel may send. An honest one never comes near:
// it answers jobs that somebody asked for, a few at a time, and its longest
// return, 16 MB in parts, is a third of what a second allows.
type FloodConfig struct {
	Messages int           `yaml:"messages" help:"messages per second that a peel may send; what is above is dropped"`
	Bytes    config.Size   `yaml:"bytes" help:"bytes per second that a peel may send; what is above is dropped"`
	Seconds  int           `yaml:"seconds" help:"a peel that is above for so many seconds without a pause is cut off"`
	CutOff   time.Duration `yaml:"cut_off" help:"how long a peel that was cut off stays so"`
}

func defaultFlood() FloodConfig {
	return FloodConfig{Messages: 1000, Bytes: 64 * config.MiB, Seconds: 10, CutOff: 15 * time.Minute}
}

func (c *FloodConfig) fill() {
	d := defaultFlood()
	setDefault(&c.Messages, d.Messages)
	setDefault(&c.Bytes, d.Bytes)
	setDefault(&c.Seconds, d.Seconds)
	setDefault(&c.CutOff, d.CutOff)
}

func setDefault[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Validate reports the first value that cannot be.
func (c FloodConfig) Validate() error {
	switch {
	case c.Messages < 0 || c.Messages > 0 && c.Messages < 100:
		return config.Bad("messages", "%d a second is too little: an honest peel may need 100", c.Messages)
	case c.Bytes < 0 || c.Bytes > 0 && c.Bytes < 8*config.MiB:
		return config.Bad("bytes", "%d bytes a second are too few: an honest peel's return may need 8MiB", int64(c.Bytes))
	case c.Seconds < 0 || c.Seconds > 3600:
		return config.Bad("seconds", "%d is not from 1 to 3600", c.Seconds)
	case c.CutOff < 0 || c.CutOff > 0 && c.CutOff < time.Second || c.CutOff > 30*24*time.Hour:
		return config.Bad("cut_off", "%s is not from 1s to 720h", c.CutOff)
	}
	return nil
}

// Bounds of the meter.
const (
	maxMetered = 1 << 17          // peels that are remembered
	allowance  = 2                // seconds whose messages may come at once
	floodGap   = time.Second      // a pause that ends an excess
	tellAgain  = 10 * time.Second // before the same peel is reported again
)

// meter counts what each peel sends, over all subjects that it may publish.
type meter struct {
	cfg FloodConfig

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

func newMeter(cfg FloodConfig) *meter { return &meter{cfg: cfg, by: map[fleet.PeelID]*flow{}} }

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
	if lasted < time.Duration(m.cfg.Seconds)*time.Second || now.Sub(f.told) < tellAgain {
		return false, ""
	}
	f.told = now
	return false, fmt.Sprintf("for %s it has sent more than %d messages or %d bytes a second; %d messages with %d bytes were dropped",
		lasted.Round(time.Second), m.cfg.Messages, int64(m.cfg.Bytes), f.over, f.size)
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
	f.msgs = min(m.maxMessages(), f.msgs+passed*float64(m.cfg.Messages))
	f.bytes = min(m.maxBytes(), f.bytes+passed*float64(m.cfg.Bytes))
}

func (m *meter) maxMessages() float64 { return allowance * float64(m.cfg.Messages) }
func (m *meter) maxBytes() float64    { return allowance * float64(m.cfg.Bytes) }

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

// metered lets through to next what the peel's pace allows. What comes to two
// subscriptions of this master is counted at one of them.
func (m *Master) metered(l *live, counted bool, next nats.MsgHandler) nats.MsgHandler {
	return func(msg *nats.Msg) {
		id, _, ok := bus.ParseFrom(msg.Subject)
		if !ok {
			next(msg) // it counts what is malformed
			return
		}
		now := time.Now()
		if !counted {
			if !l.meter.above(id, now) {
				next(msg)
			}
			return
		}
		if m.passes(l, id, len(msg.Data)+len(msg.Subject), now) {
			next(msg)
		}
	}
}

// passes counts a message, and has a peel cut off that was above its pace for
// too long.
func (m *Master) passes(l *live, id fleet.PeelID, size int, now time.Time) bool {
	pass, report := l.meter.take(id, size, now)
	if pass {
		return true
	}
	m.metrics.flooded.Inc()
	if report != "" {
		m.cutOff(l, id, fleet.Suspension{Reason: fleet.SuspendedFlood, Detail: report, Since: now.UTC(), Until: now.UTC().Add(m.cfg.Flood.CutOff)})
	}
	return false
}

// Passes counts a message of a peel that another room of this process takes
// from the bus, and reports whether the peel's pace allows it.
func (m *Master) Passes(id fleet.PeelID, size int) bool {
	l, err := m.running()
	return err != nil || m.passes(l, id, size, time.Now())
}
