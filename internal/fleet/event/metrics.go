package event

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of events.
type metrics struct {
	stored, refused            *prometheus.CounterVec
	unstored, unreadable, lost prometheus.Counter
	watchers                   prometheus.Gauge
}

// newMetrics makes the metrics and registers them, when there is where.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_event_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_event_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		stored:     vec("stored_total", "Events that were stored, by who told of them: peel, person.", "sender"),
		refused:    vec("refused_total", "Events of peels that were not taken, by the reason: too_often, invalid, too_large, stray, flood.", "reason"),
		unstored:   counter("unstored_total", "Events that the bus did not store at the first try; the peel sends them again."),
		unreadable: counter("unreadable_total", "Stored events that could not be read."),
		lost:       counter("lost_total", "Events that the stream had dropped before somebody who watched was shown them."),
		watchers:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_event_watchers", Help: "Who watches events."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.stored, m.refused, m.unstored, m.unreadable, m.lost, m.watchers} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of events: %w", err)
		}
	}
	return m, nil
}
