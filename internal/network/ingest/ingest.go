package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/store"
)

// Service takes reports and keeps the list of taps.
type Service struct {
	cfg     Config
	db      *database.DB
	store   *store.Store
	log     *slog.Logger
	now     func() time.Time
	decoder *report.Decoder
	slots   chan struct{} // one for each report that is being taken
	tokens  *tokens
	metrics *metrics
}

// New makes a service; it needs no start.
func New(cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.complete()
	decoder, err := report.NewDecoder(cfg.Limits)
	if err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, db: deps.DB, store: deps.Store, log: deps.Log, now: deps.Now, decoder: decoder,
		slots: make(chan struct{}, cfg.Concurrent), metrics: newMetrics(deps.Metrics, decoder.Skipped),
	}
	s.tokens = newTokens(s.loadTokens, deps.Now)
	return s, nil
}

// Purge forgets identities of reports that would be refused for their age by
// now, and returns how many.
func (s *Service) Purge(ctx context.Context) (int64, error) {
	// A report ends at most MaxAhead after it was received. The day is a
	// margin for clocks of nodes that differ.
	cutoff := s.now().Add(-s.cfg.MaxAge - s.cfg.MaxAhead - 24*time.Hour)
	n, err := s.db.Exec(ctx, `DELETE FROM reports WHERE received_us < $1`, database.Micros(cutoff))
	if err != nil {
		return 0, fmt.Errorf("deleting identities of old reports: %w", err)
	}
	return n, nil
}

// metrics are the counters of a service.
type metrics struct {
	reports *prometheus.CounterVec // by result
	rows    *prometheus.CounterVec // by kind
	bytes   prometheus.Counter
	took    prometheus.Histogram
	lag     prometheus.Histogram
	wrong   prometheus.Counter // ledgers that do not add up
	unread  prometheus.CounterFunc
}

// count adds the rows of a report that was committed.
func (m *metrics) count(r *network.Report) {
	gaps := 0
	if r.Gap != nil {
		gaps = 1
	}
	for kind, n := range map[string]int{store.KindFlows: len(r.Flows), store.KindDNS: len(r.DNS), store.KindTLS: len(r.TLS),
		store.KindLedgers: len(r.Interfaces), store.KindGaps: gaps} {
		m.rows.WithLabelValues(kind).Add(float64(n))
	}
	for _, k := range record.Kinds() {
		m.rows.WithLabelValues(k.Name).Add(float64(k.Rows(&r.Records).Len()))
	}
}

func newMetrics(reg prometheus.Registerer, skipped func() uint64) *metrics {
	m := &metrics{
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_ingest_reports_total", Help: "Reports by result: committed, duplicate, or why they were refused.",
		}, []string{"result"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_ingest_rows_total", Help: "Rows committed, by kind.",
		}, []string{"kind"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rind_ingest_bytes_total", Help: "Bytes of committed reports on the wire.",
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rind_ingest_commit_seconds", Help: "Time of the transaction of one report.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rind_ingest_lag_seconds", Help: "Time from a report's end, by the tap's clock, to its commit.",
			Buckets: prometheus.ExponentialBuckets(0.1, 3, 12),
		}),
		wrong: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rind_ingest_unbalanced_ledgers_total", Help: "Committed ledgers that do not add up: a defect of the tap.",
		}),
	}
	m.unread = prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "rind_ingest_unknown_rows_total", Help: "Rows passed over because this node does not know their kind: the tap is newer, update the node.",
	}, func() float64 { return float64(skipped()) })
	for _, k := range store.Kinds() {
		m.rows.WithLabelValues(k.Name)
	}
	for _, result := range results {
		m.reports.WithLabelValues(result)
	}
	if reg != nil {
		reg.MustRegister(m.reports, m.rows, m.bytes, m.took, m.lag, m.wrong, m.unread)
	}
	return m
}

// The results of a report.
const (
	committed    = "committed"
	duplicate    = "duplicate"
	unauthorized = "unauthorized"
	foreign      = "foreign_tap" // the report's tap is not the token's
	tooLarge     = "too_large"
	malformed    = "malformed"
	implausible  = "implausible" // well-formed, with contents that cannot be
	tooOld       = "too_old"
	tooSlow      = "too_slow" // the body did not arrive in time, or in full
	behind       = "behind"   // answered 429
	clockOff     = "clock"    // the tap's clock is wrong, or ours
	failed       = "failed"   // the database did not commit
)

var results = []string{committed, duplicate, unauthorized, foreign, tooLarge, malformed, implausible, tooOld, tooSlow, behind, clockOff, failed}
