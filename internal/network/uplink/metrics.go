package uplink

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of a sender and its spool.
type metrics struct {
	reports *prometheus.CounterVec
	retries prometheus.Counter
	took    prometheus.Histogram
	skew    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, spool *Spool) *metrics {
	m := &metrics{
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_tap_reports_total", Help: "Reports that left the spool: committed, duplicate or put aside.",
		}, []string{"result"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rind_tap_delivery_retries_total", Help: "Deliveries that failed and were to be tried again.",
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rind_tap_delivery_seconds", Help: "Time from sending a report to the node's answer.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}),
		skew: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rind_tap_clock_skew_seconds", Help: "The node's clock minus this host's, at the last answer.",
		}),
	}
	for _, result := range []string{"committed", "duplicate"} {
		m.reports.WithLabelValues(result)
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.reports, m.retries, m.took, m.skew)
	gauge := func(name, help string, value func(Stats) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(spool.Stats()) }))
	}
	gauge("rind_tap_spool_reports", "Reports in the spool.", func(s Stats) float64 { return float64(s.Reports) })
	gauge("rind_tap_spool_bytes", "Bytes in the spool.", func(s Stats) float64 { return float64(s.Bytes) })
	gauge("rind_tap_spool_dropped", "Reports that the spool's bounds pushed out, ever.", func(s Stats) float64 { return float64(s.DroppedEver) })
	gauge("rind_tap_spool_quarantined", "Reports put aside, ever.", func(s Stats) float64 { return float64(s.Quarantined) })
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rind_tap_spool_age_seconds", Help: "How long the oldest report has waited.",
	}, func() float64 { return spool.age().Seconds() }))
	return m
}
