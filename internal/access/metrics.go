package access

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what is let in and what is refused.
type metrics struct {
	logins  *prometheus.CounterVec // by result: ok, wrong, limited, busy, error
	refused *prometheus.CounterVec // by reason: unauthenticated, forbidden, cross_origin, error
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_access_logins_total", Help: "Logins tried, by result.",
		}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_access_refused_total", Help: "Requests that the guard refused, by reason.",
		}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.logins, m.refused)
	}
	return m
}
