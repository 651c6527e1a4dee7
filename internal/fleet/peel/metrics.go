package peel

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet/job"
)

// metrics are the peel's counters.
type metrics struct {
	connected, spooled             prometheus.Gauge
	facts, returned, retries, lost prometheus.Counter
	jobs, renewals, settings       *prometheus.CounterVec
	refused, forged, answers       *prometheus.CounterVec
}

// newMetrics makes the metrics and registers them, when there is where.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_peel_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_peel_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_peel_connected", Help: "1 while the peel is on the bus."}),
		spooled:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_peel_returns_spooled", Help: "Returns that wait for their acknowledgement."}),
		facts:     counter("facts_published_total", "Publications of facts that were acknowledged."),
		returned:  counter("returns_total", "Returns that were acknowledged."),
		retries:   counter("publish_retries_total", "Publications that were not acknowledged in time and were tried again."),
		lost:      counter("returns_lost_total", "Returns that were given up: the spool was full or damaged, or the job too old."),
		jobs:      vec("jobs_total", "Jobs that were run.", "function"),
		renewals:  vec("renewals_total", "Renewals of the permission for the bus.", "result"),
		settings:  vec("settings_total", "Answers to questions for settings that were not as before: changed, unsaved, refused, failed.", "result"),
		refused:   job.NewRefused(),
		forged: vec("settings_refused_total", "Answers to questions for settings that this peel did not take, by the reason: no master signed them for it and the question.",
			"reason"),
	}
	m.answers = vec("answers_refused_total", "Answers to what functions asked that this peel did not take, by the reason: no master signed them for it and the question.", "reason")
	for _, r := range []string{job.ReasonMalformed, job.ReasonUnsigned, job.ReasonSignature, job.ReasonScope, job.ReasonDelegation} {
		m.forged.WithLabelValues(r)
		m.answers.WithLabelValues(r)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.connected, m.spooled, m.facts, m.returned, m.retries, m.lost, m.jobs, m.renewals, m.settings, m.refused, m.forged, m.answers} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the peel's metrics: %w", err)
		}
	}
	return m, nil
}
