package tap

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/pipeline"
)

var (
	malformedDesc = prometheus.NewDesc("rind_tap_malformed_total", "Malformed packets by interface and reason, up to the last report.", []string{"interface", "reason"}, nil)
	eventDesc     = prometheus.NewDesc("rind_tap_pipeline_events_total", "What pipelines could not keep, read or take up, by interface, up to the last report.", []string{"interface", "event"}, nil)
)

// events shows what the pipelines count beside the ledger: why packets are
// malformed, and what a bound or a broken message kept out of the reports.
type events struct {
	mu    sync.Mutex
	pipes map[string]*pipeline.Pipeline // by interface
}

func (e *events) add(iface string, p *pipeline.Pipeline) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pipes[iface] = p
}

// Describe implements prometheus.Collector.
func (e *events) Describe(ch chan<- *prometheus.Desc) {
	ch <- malformedDesc
	ch <- eventDesc
}

// Collect implements prometheus.Collector.
func (e *events) Collect(ch chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for iface, p := range e.pipes {
		c := p.Counters()
		for status, n := range c.Malformed {
			if s := packet.Status(status); s.Malformed() {
				ch <- prometheus.MustNewConstMetric(malformedDesc, prometheus.CounterValue, float64(n), iface, s.String())
			}
		}
		for event, n := range map[string]uint64{
			"parser_panicked": c.Panics, "flow_evicted": c.Flows.Evicted, "flow_refused": c.Flows.Refused,
			"dns_malformed": c.DNSMalformed, "dns_reported_early": c.DNSPushed, "dns_left_out": c.DNSOver,
			"tls_malformed": c.TLSMalformed, "tls_left_out": c.TLSOver,
			"stream_gap": c.StreamGaps, "stream_refused": c.StreamsRefused, "stream_stale": c.StreamsStale,
		} {
			ch <- prometheus.MustNewConstMetric(eventDesc, prometheus.CounterValue, float64(n), iface, event)
		}
	}
}
