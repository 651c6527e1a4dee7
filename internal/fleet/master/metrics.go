package master

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
)

// metrics are the master's counters.
type metrics struct {
	jobs, backfilled, late, superseded prometheus.Counter
	batches, split                     prometheus.Counter
	returns                            *prometheus.CounterVec
	stray                              *prometheus.CounterVec
	asks                               *prometheus.CounterVec
	unstored                           prometheus.Counter
	flooded                            prometheus.Counter
	cutOff                             *prometheus.CounterVec
	running                            prometheus.Gauge
	dropped                            prometheus.Counter
	peels                              *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		jobs: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_jobs_total", Help: "Jobs that were sent."}),
		backfilled: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_returns_backfilled_total",
			Help: "Returns that were read from their bucket because they were not seen when they came."}),
		late: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_jobs_delivered_late_total",
			Help: "Messages of jobs to peels that came back while the job could still be got."}),
		superseded: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_jobs_superseded_total",
			Help: "Jobs that another master took over while this one still collected them."}),
		returns: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_master_returns_total",
			Help: "Returns that were counted for a job, by how the function ended."}, []string{"result"}),
		stray: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_master_stray_messages_total",
			Help: "Messages of peels that were not used, by the reason: unknown_job, untargeted, duplicate, malformed, reply, heartbeat, facts."}, []string{"reason"}),
		asks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_master_asks_total",
			Help: "Questions of peels, by how they ended: ok, failed, refused, too_often."}, []string{"result"}),
		batches: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_batches_total",
			Help: "Batches of returns or facts that were stored as one."}),
		split: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_batches_split_total",
			Help: "Batches that the bus did not take as one, mostly because a return in them was stored before; their values went one by one."}),
		unstored: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_unstored_messages_total",
			Help: "Returns and facts that the bus did not store at the first try; the peel sends them again."}),
		flooded: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_flood_dropped_total",
			Help: "Messages that were dropped because their peel sends more than it may (master.flood)."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_master_queue_dropped_total",
			Help: "Messages of peels that found too many before them, and were dropped; peels ask again after a growing pause."}),
		cutOff: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_master_cut_off_total",
			Help: "Times that this master had a peel kept off the bus, by the reason: flood, copy."}, []string{"reason"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_master_jobs_running", Help: "Jobs that wait for answers."}),
		peels:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rind_master_peels", Help: "Peels by state: enrolled, connected."}, []string{"state"}),
	}
	for _, reason := range []string{fleet.SuspendedFlood, fleet.SuspendedCopy} {
		m.cutOff.WithLabelValues(reason)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.jobs, m.batches, m.split, m.backfilled, m.late, m.superseded, m.returns, m.stray, m.asks, m.unstored, m.flooded, m.dropped, m.cutOff, m.running, m.peels} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the master's metrics: %w", err)
		}
	}
	return m, nil
}
