package cluster

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of a member.
type metrics struct {
	missed  prometheus.Counter
	deaf    prometheus.Counter
	skew    prometheus.Gauge
	leases  *prometheus.GaugeVec   // by lease
	lost    *prometheus.CounterVec // by lease
	refused *prometheus.CounterVec // by lease
	periods *prometheus.CounterVec // by work
	failed  *prometheus.CounterVec // by work
	tasks   *prometheus.CounterVec // by kind and result
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		missed: counter("rind_node_heartbeats_missed_total", "Heartbeats that could not be written."),
		deaf:   counter("rind_node_listen_failures_total", "Times that the connection which hears of changes broke; they are asked for meanwhile."),
		skew: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rind_node_database_clock_skew_seconds", Help: "The database's clock less this node's, at the last heartbeat.",
		}),
		leases: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rind_node_lease_held", Help: "1 for each lease that this node holds, 0 when it held it once.",
		}, []string{"lease"}),
		lost:    vec("rind_node_leases_lost_total", "Leases that could not be renewed, or that another node took.", "lease"),
		refused: vec("rind_node_fenced_writes_refused_total", "Writes that the database refused since another node holds the lease.", "lease"),
		periods: vec("rind_node_periods_total", "Periods for which this node did the work.", "work"),
		failed:  vec("rind_node_periodic_failures_total", "Periodic work that failed.", "work"),
		tasks:   vec("rind_node_tasks_total", "Attempts at tasks by result: done, failed, dead.", "kind", "result"),
	}
	if reg != nil {
		reg.MustRegister(m.missed, m.deaf, m.skew, m.leases, m.lost, m.refused, m.periods, m.failed, m.tasks)
	}
	return m
}
