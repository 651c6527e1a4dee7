// Package metrics makes the registry in which the components of a daemon
// register what they count, and serves it to Prometheus.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rind-project/rind/internal/base/version"
)

// A scrape is cheap, but not free: more than a few at a time are refused, and
// one that takes longer than this is given up.
const (
	maxScrapes    = 4
	scrapeTimeout = 20 * time.Second
)

// New returns a registry that holds the Go runtime, the process and
// rind_build_info, whose labels say which build is running.
func New() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	// The package collectors has successors of these two, and one of database/sql
	// beside them, which a tap and a peel must not link.
	reg.MustRegister(
		prometheus.NewGoCollector(),                                       //nolint:staticcheck // see above
		prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{}), //nolint:staticcheck // see above
		buildInfo(version.Get()),
	)
	return reg
}

func buildInfo(v version.Info) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "rind_build_info",
		Help:        "Always 1; the labels describe the running build.",
		ConstLabels: prometheus.Labels{"version": v.Version, "commit": v.Commit, "go": v.Go},
	}, func() float64 { return 1 })
}

// Handler serves the registry in the formats that Prometheus asks for. It also
// counts, in the registry, the scrapes and their errors.
func Handler(reg *prometheus.Registry) http.Handler {
	return promhttp.InstrumentMetricHandler(reg, promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            reg,
	}))
}
