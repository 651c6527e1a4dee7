package holder

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the holder's counters.
type metrics struct{ asks *prometheus.CounterVec }

// newMetrics makes the metrics and registers them, when there is where.
func newMetrics(reg prometheus.Registerer, s *shelf) (*metrics, error) {
	m := &metrics{asks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_basket_asks_total",
		Help: "Questions of peels about shared values, by the operation and how it ended: ok, failed, or the kind of a refusal."}, []string{"operation", "result"})}
	if reg == nil {
		return m, nil
	}
	gauge := func(name, help string, of func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(of()) })
	}
	for _, c := range []prometheus.Collector{
		m.asks,
		gauge("rind_basket_peels", "Peels that share values.", func() int { n, _ := s.count(); return n }),
		gauge("rind_basket_values", "Values that peels share.", func() int { _, n := s.count(); return n }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the basket's metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(operation, result string) { m.asks.WithLabelValues(operation, result).Inc() }
