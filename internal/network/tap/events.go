package tap

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network/packet"
)

var (
	joinedDesc    = prometheus.NewDesc("rind_tap_joined_frames_total", "Frames larger than the interface sends: segments that the card or the kernel joined (GRO, LRO, TSO). Each counts as one packet.", []string{"interface", "worker"}, nil)
	malformedDesc = prometheus.NewDesc("rind_tap_malformed_total", "Malformed packets by interface and reason, up to the last report.", []string{"interface", "reason", "worker"}, nil)
	parserDesc    = prometheus.NewDesc("rind_tap_parser_events_total", "What parsers did, by interface and parser, up to the last report.", []string{"interface", "parser", "event", "worker"}, nil)
	heldDesc      = prometheus.NewDesc("rind_tap_stream_bytes", "Memory for TCP segments that wait for others, by interface, at the last report.", []string{"interface", "worker"}, nil)
	streamsDesc   = prometheus.NewDesc("rind_tap_streams", "TCP connections that are followed, by interface, at the last report.", []string{"interface", "worker"}, nil)
	ringDesc      = prometheus.NewDesc("rind_tap_ring_used_bytes", "Bytes of the worker's ring that are filled and not read yet.", []string{"interface", "worker"}, nil)
	ringPeakDesc  = prometheus.NewDesc("rind_tap_ring_peak_bytes", "The most that was seen filled since the ring was made.", []string{"interface", "worker"}, nil)
	ringFullDesc  = prometheus.NewDesc("rind_tap_ring_full_total", "Times that the kernel found no room in the worker's ring.", []string{"interface", "worker"}, nil)
	busyDesc      = prometheus.NewDesc("rind_tap_worker_busy_ratio", "Share of the time that the worker worked since its ring was made; near 1 it is short of CPU.", []string{"interface", "worker"}, nil)
	partsDesc     = prometheus.NewDesc("rind_tap_fragment_bytes", "Memory for IP fragments that wait for the others of their datagram, by interface, at the last report.", []string{"interface", "worker"}, nil)
	eventDesc     = prometheus.NewDesc("rind_tap_pipeline_events_total", "What pipelines could not keep, read or take up, by interface, up to the last report.", []string{"interface", "event", "worker"}, nil)
)

// events shows what the pipelines count beside the ledger: why packets are
// malformed, and what a bound or a broken message kept out of the reports.
type events struct {
	mu      sync.Mutex
	workers map[string][]*worker // by interface
}

func (e *events) add(iface string, w *worker) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.workers[iface] = append(e.workers[iface], w)
}

// remove ends what is shown of an interface.
func (e *events) remove(iface string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.workers, iface)
}

// Describe implements prometheus.Collector.
func (e *events) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{joinedDesc, ringDesc, ringPeakDesc, ringFullDesc, busyDesc, partsDesc} {
		ch <- d
	}
	ch <- malformedDesc
	ch <- eventDesc
	ch <- parserDesc
	ch <- heldDesc
	ch <- streamsDesc
}

// Collect implements prometheus.Collector.
func (e *events) Collect(ch chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for iface, workers := range e.workers {
		for _, w := range workers {
			w.collect(ch, iface)
		}
	}
}

// collect sends the counters of one worker.
func (w *worker) collect(ch chan<- prometheus.Metric, iface string) {
	worker := strconv.Itoa(w.number)
	ch <- prometheus.MustNewConstMetric(joinedDesc, prometheus.CounterValue, float64(w.joined.Load()), iface, worker)
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, iface, worker)
	}
	gauge(ringDesc, float64(w.use.used.Load()))
	gauge(ringPeakDesc, float64(w.use.peak.Load()))
	gauge(busyDesc, w.use.busy())
	ch <- prometheus.MustNewConstMetric(ringFullDesc, prometheus.CounterValue, float64(w.use.full.Load()), iface, worker)
	c := w.pipe.Counters()
	for status, n := range c.Malformed {
		if s := packet.Status(status); s.Malformed() {
			ch <- prometheus.MustNewConstMetric(malformedDesc, prometheus.CounterValue, float64(n), iface, s.String(), worker)
		}
	}
	for event, n := range map[string]uint64{
		"parser_panicked": c.Panicked, "flow_evicted": c.Flows.Evicted, "flow_refused": c.Flows.Refused,
		"fragment": c.Fragments, "fragment_skipped": c.Datagrams.Skipped, "datagram_whole": c.Datagrams.Whole,
		"datagram_overlap": c.Datagrams.Overlaps, "datagram_given_up": c.Datagrams.GivenUp,
		"wifi_frame": c.WiFi.Frames, "wifi_malformed": c.WiFi.Malformed, "wifi_aggregated": c.WiFi.Aggregated,
	} {
		ch <- prometheus.MustNewConstMetric(eventDesc, prometheus.CounterValue, float64(n), iface, event, worker)
	}
	for i := range c.Parsers {
		for event, n := range c.Parsers[i].Events() {
			ch <- prometheus.MustNewConstMetric(parserDesc, prometheus.CounterValue, float64(n), iface, c.Parsers[i].Name, event, worker)
		}
	}
	gauge(partsDesc, float64(c.Datagrams.Bytes))
	gauge(heldDesc, float64(c.HeldBytes))
	gauge(streamsDesc, float64(c.Streams))
}
