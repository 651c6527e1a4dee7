package natsd

import (
	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
)

// register publishes what the running server counts.
func (s *Server) register(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	gauge := func(name, help string, read func(*server.Server) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			srv := s.running()
			if srv == nil {
				return 0
			}
			return read(srv)
		}))
	}
	gauge("rind_bus_connections", "Clients connected to the bus.", func(srv *server.Server) float64 {
		return float64(srv.NumClients())
	})
	gauge("rind_bus_slow_consumers", "Clients that the bus disconnected because they read too slowly.", func(srv *server.Server) float64 {
		return float64(srv.NumSlowConsumers())
	})
	gauge("rind_bus_subscriptions", "Subscriptions on the bus.", func(srv *server.Server) float64 {
		return float64(srv.NumSubscriptions())
	})
	gauge("rind_bus_stored_bytes", "Bytes that JetStream keeps on disk.", func(srv *server.Server) float64 {
		stats, err := srv.Jsz(nil)
		if err != nil {
			return 0
		}
		return float64(stats.Store)
	})
}
