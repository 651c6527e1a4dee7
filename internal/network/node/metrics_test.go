package node

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/network/report"
)

// TestMetrics has a node take a report, another time the same one, and one of
// a tap whose clock is off, and looks for what its metrics are to tell of.
func TestMetrics(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		reg := prometheus.NewRegistry()
		cfg := DefaultConfig()
		cfg.Heartbeat = 100 * time.Millisecond
		n, err := New(cfg, Deps{DB: db, Metrics: reg, Memory: memory.NewGauge(1 << 40)})
		if err != nil {
			t.Fatal(err)
		}
		start(t, n)
		t.Cleanup(func() { _ = n.Stop(context.WithoutCancel(t.Context())) })
		url, token := served(t, n), addTaps(t, n, 1)[0]
		body := smallReport(t, "tap-0", 1)
		for range 2 {
			if status, text := give(t, url, token, body); status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
		}
		off, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		off.Header.Set("Authorization", "Bearer "+token)
		off.Header.Set(report.TimeHeader, time.Now().Add(-time.Hour).Format(time.RFC3339))
		res, err := http.DefaultClient.Do(off)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusConflict {
			t.Errorf("an hour off it is answered %d", res.StatusCode)
		}
		eventually(t, "the leases are taken and the partitions counted", func() bool {
			all := values(t, reg)
			return all["rind_node_lease_held sums"] == 1 && all["rind_node_partitions_ahead_seconds flows"] > 0
		})
		all := values(t, reg)
		for name, ok := range map[string]func(float64) bool{
			"rind_ingest_lag_seconds":               func(v float64) bool { return v == 1 },
			"rind_ingest_queue_bytes":               func(v float64) bool { return v == 0 },
			"rind_ingest_queue_limit_bytes":         func(v float64) bool { return v > 0 },
			"rind_ingest_reports_total committed":   func(v float64) bool { return v == 1 },
			"rind_ingest_reports_total duplicate":   func(v float64) bool { return v == 1 },
			"rind_ingest_reports_total clock":       func(v float64) bool { return v == 1 },
			"rind_ingest_rows_total flows":          func(v float64) bool { return v == 3 },
			"rind_ingest_kind_bytes_total flows":    func(v float64) bool { return v > 0 },
			"rind_ingest_copy_seconds":              func(v float64) bool { return v == 2 },
			"rind_ingest_clock_skew_seconds":        func(v float64) bool { return v == 1 },
			"rind_node_partitions flows":            func(v float64) bool { return v >= 1 },
			"rind_node_lease_held retention":        func(v float64) bool { return v == 1 },
			"rind_node_database_seconds":            func(v float64) bool { return v >= 0 },
			"rind_node_database_clock_skew_seconds": func(v float64) bool { return v > -2 && v < 2 },
			"rind_node_memory_limit_bytes":          func(v float64) bool { return v == 1<<40 },
			"rind_node_refused_total memory":        func(v float64) bool { return v == 0 },
			"rind_node_heartbeats_missed_total":     func(v float64) bool { return v >= 0 },
			"rind_ingest_drain_bytes_per_second":    func(v float64) bool { return v >= 0 },
			"rind_node_pool_in_use":                 func(v float64) bool { return v >= 0 },
			"rind_node_partitions traffic_totals":   func(v float64) bool { return v >= 1 },
			"rind_ingest_unbalanced_ledgers_total":  func(v float64) bool { return v == 0 },
		} {
			if v, there := all[name]; !there || !ok(v) {
				t.Errorf("%s is %v (there: %t)", name, v, there)
			}
		}
	})
}

// values are the metrics by name and labels; of a histogram it is the count.
func values(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}
