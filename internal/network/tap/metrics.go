package tap

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/record"
)

// metrics are the counters of a tap: every term of the ledger by interface.
type metrics struct {
	packets *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	up      *prometheus.GaugeVec
	rows    *prometheus.CounterVec
	encoded prometheus.Counter
	lost    prometheus.Counter
	flows   prometheus.Gauge
	table   prometheus.Gauge
	ring    *prometheus.GaugeVec
	events  *events
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		packets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_tap_packets_total", Help: "Packets by interface and term of the ledger.",
		}, []string{"interface", "term"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_tap_bytes_total", Help: "Bytes on the wire by interface.",
		}, []string{"interface"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rind_tap_interface_up", Help: "1 while the interface is captured.",
		}, []string{"interface"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_tap_rows_total", Help: "Rows reported, by kind.",
		}, []string{"kind"}),
		encoded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rind_tap_report_bytes_total", Help: "Bytes of encoded reports.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rind_tap_reports_lost_total", Help: "Reports given up because they could not be spooled.",
		}),
		flows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rind_tap_flows_active", Help: "Flows in the tables at the last report.",
		}),
		table: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rind_tap_flows_max", Help: "Flows that the tables have room for.",
		}),
		ring: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rind_tap_ring_bytes", Help: "Bytes of the rings of all workers of an interface; 0 while it is not captured.",
		}, []string{"interface"}),
		events: &events{workers: map[string][]*worker{}},
	}
	if reg != nil {
		reg.MustRegister(m.packets, m.bytes, m.up, m.rows, m.encoded, m.lost, m.flows, m.table, m.ring, m.events)
	}
	return m
}

// count adds a report.
func (m *metrics) count(r *network.Report) {
	for i := range r.Interfaces {
		l := &r.Interfaces[i]
		for term, n := range map[string]uint64{
			"received": l.Received, "summarised": l.Summarised, "dropped_kernel": l.DroppedKernel, "dropped_pipeline": l.DroppedPipeline,
			"malformed": l.Malformed, "held_fragments": l.HeldFragments, "released_fragments": l.ReleasedFragments,
		} {
			m.packets.WithLabelValues(l.Interface, term).Add(float64(n))
		}
		m.bytes.WithLabelValues(l.Interface).Add(float64(l.Bytes))
	}
	m.rows.WithLabelValues("flows").Add(float64(len(r.Flows)))
	m.rows.WithLabelValues("dns").Add(float64(len(r.DNS)))
	m.rows.WithLabelValues("tls").Add(float64(len(r.TLS)))
	for _, k := range record.Kinds() {
		m.rows.WithLabelValues(k.Name).Add(float64(k.Rows(&r.Records).Len()))
	}
	m.flows.Set(float64(r.Health.FlowsActive))
	m.table.Set(float64(r.Health.FlowsMax))
}

// kept shows what the quarantine of packets holds.
func (m *metrics) kept(reg prometheus.Registerer, q *pipeline.Quarantine) {
	if reg == nil {
		return
	}
	for result, count := range map[string]func() uint64{
		"kept":    func() uint64 { kept, _ := q.Counts(); return kept },
		"refused": func() uint64 { _, refused := q.Counts(); return refused },
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "rind_tap_quarantined_packets_total", Help: "Packets on which a parser failed: kept in quarantine.dir, or refused for want of room.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(count()) }))
	}
}

// forget ends what is shown of an interface that is captured no more. Its
// terms of the ledger stay.
func (m *metrics) forget(iface string) {
	m.up.DeleteLabelValues(iface)
	m.ring.DeleteLabelValues(iface)
	m.events.remove(iface)
}
