package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/store"
)

// The results of a report.
const (
	committed    = "committed"
	duplicate    = "duplicate"
	unauthorized = "unauthorized"
	guessing     = "unknown_tokens" // so many bad tokens are tried that this one could not be looked up
	foreign      = "foreign_tap"    // the report's tap is not the token's
	tooLarge     = "too_large"
	malformed    = "malformed"
	implausible  = "implausible" // well-formed, with contents that cannot be
	unstorable   = "unstorable"  // the database cannot hold its contents
	tooOld       = "too_old"
	tooSlow      = "too_slow"  // the body did not arrive in time, or in full
	behind       = "behind"    // answered 429: the database is slower than the taps
	memory       = "memory"    // answered 429: the process is near its limit of memory
	stopping     = "stopping"  // the node is ending
	clockOff     = "clock"     // the tap's clock is wrong, or ours
	gone         = "gone"      // the tap did not wait
	failed       = "failed"    // the database did not commit
	full         = "disk_full" // the database's disk has no room
	denied       = "denied"    // the database's user lacks a right
)

var results = []string{committed, duplicate, unauthorized, guessing, foreign, tooLarge, malformed, implausible, unstorable, tooOld, tooSlow,
	behind, memory, stopping, clockOff, gone, failed, full, denied}

// metrics are the counters of a service.
type metrics struct {
	reports      *prometheus.CounterVec // by result
	rows         *prometheus.CounterVec // by kind
	kindBytes    *prometheus.CounterVec // likewise
	bytes        prometheus.Counter
	groupReports prometheus.Histogram
	groupRows    prometheus.Histogram
	waited       prometheus.Histogram
	took         prometheus.Histogram
	copied       prometheus.Histogram
	lag          prometheus.Histogram
	skew         prometheus.Histogram
	wrong        prometheus.Counter // ledgers that do not add up
	halved       prometheus.Counter
	shared       prometheus.Counter
	unread       prometheus.CounterFunc
}

// count adds the rows of a report that was committed.
func (m *metrics) count(r report.Received) {
	gaps := 0
	if r.Gap != nil {
		gaps = 1
	}
	for kind, n := range map[string]int{store.KindFlows: len(r.Flows), store.KindDNS: len(r.DNS), store.KindTLS: len(r.TLS),
		store.KindLedgers: len(r.Interfaces), store.KindGaps: gaps} {
		m.rows.WithLabelValues(kind).Add(float64(n))
	}
	for _, k := range record.Kinds() {
		if n := k.Rows(&r.Records).Len(); n > 0 {
			m.rows.WithLabelValues(k.Name).Add(float64(n))
		}
	}
	for kind, n := range r.Kinds {
		m.kindBytes.WithLabelValues(kind).Add(float64(n))
	}
}

func newMetrics(s *Service, reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	by := func(label, name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	histogram := func(name, help string, start, factor float64, n int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(start, factor, n)})
	}
	m := &metrics{
		reports:      by("result", "rind_ingest_reports_total", "Reports by result: committed, duplicate, or why they were refused."),
		rows:         by("kind", "rind_ingest_rows_total", "Rows committed, by kind."),
		kindBytes:    by("kind", "rind_ingest_kind_bytes_total", "Bytes of committed rows in the expanded report, by kind."),
		bytes:        counter("rind_ingest_bytes_total", "Bytes of committed reports on the wire."),
		groupReports: histogram("rind_ingest_group_reports", "Reports in one transaction.", 1, 2, 10),
		groupRows:    histogram("rind_ingest_group_rows", "Rows in one transaction.", 10, 4, 10),
		waited:       histogram("rind_ingest_wait_seconds", "Time for which a report waited for its transaction to begin.", 0.001, 2, 16),
		took:         histogram("rind_ingest_commit_seconds", "Time of one transaction.", 0.001, 2, 14),
		copied:       histogram("rind_ingest_copy_seconds", "Time for which a transaction wrote rows.", 0.001, 2, 14),
		lag:          histogram("rind_ingest_lag_seconds", "Time from a report's end, by the tap's clock, to its commit.", 0.1, 3, 12),
		skew:         histogram("rind_ingest_clock_skew_seconds", "How far the clock of a tap that reports is from this node's, either way.", 0.25, 4, 10),
		wrong:        counter("rind_ingest_unbalanced_ledgers_total", "Committed ledgers that do not add up: a defect of the tap."),
		halved:       counter("rind_ingest_halved_groups_total", "Transactions that failed for what was in them and were tried again in two halves."),
		shared:       counter("rind_ingest_shared_tokens_total", "Transactions in which two machines reported with the token of one tap: give each its own."),
	}
	m.unread = prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "rind_ingest_unknown_rows_total", Help: "Rows passed over because this node does not know their kind: the tap is newer, update the node.",
	}, func() float64 { return float64(s.decoder.Skipped()) })
	for _, k := range store.Kinds() {
		m.rows.WithLabelValues(k.Name)
	}
	for _, result := range results {
		m.reports.WithLabelValues(result)
	}
	if reg != nil {
		reg.MustRegister(m.reports, m.rows, m.kindBytes, m.bytes, m.groupReports, m.groupRows, m.waited, m.took, m.copied, m.lag, m.skew,
			m.wrong, m.halved, m.shared, m.unread)
		reg.MustRegister(gauges(s)...)
	}
	return m
}

// gauges are read when they are asked for.
func gauges(s *Service) []prometheus.Collector {
	gauge := func(name, help string, value func(Load) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(s.Load()) })
	}
	return []prometheus.Collector{
		gauge("rind_ingest_queue_bytes", "Memory of the reports that are on their way to the database.", func(l Load) float64 { return float64(l.Bytes) }),
		gauge("rind_ingest_queue_limit_bytes", "Memory that they may take (node.ingest.queue_bytes).", func(l Load) float64 { return float64(l.Limit) }),
		gauge("rind_ingest_queue_reports", "Reports that wait for the database.", func(l Load) float64 { return float64(l.Reports) }),
		gauge("rind_ingest_requests", "Reports that are being received, or wait.", func(l Load) float64 { return float64(l.Requests) }),
		gauge("rind_ingest_drain_bytes_per_second", "Memory of reports that the database takes in a second.", func(l Load) float64 { return l.Rate }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "rind_ingest_token_lookups_total", Help: "Queries for tokens that were not in memory.",
		}, func() float64 { return float64(s.tokens.made()) }),
	}
}
