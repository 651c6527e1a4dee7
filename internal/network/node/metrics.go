package node

import "github.com/prometheus/client_golang/prometheus"

// gauges tells of the process and its connections whenever it is asked.
func (n *Node) gauges(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	gauge := func(name, help string, read func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("rind_node_memory_bytes", "Memory that counts against the limit.", func() float64 { held, _ := n.deps.Memory.Use(); return float64(held) })
	gauge("rind_node_memory_limit_bytes", "Memory that the process may hold; 0 is no limit.", func() float64 { _, limit := n.deps.Memory.Use(); return float64(limit) })
	gauge("rind_node_pool_in_use", "Connections to the database in use, of those that write.", func() float64 { return float64(n.deps.DB.Pool().InUse) })
	gauge("rind_node_database_seconds", "Time of one small transaction: the last heartbeat's.", func() float64 { return n.member.BeatTook().Seconds() })
	gauge("rind_node_draining", "1 while the node takes nothing new.", func() float64 {
		if n.member.Draining() {
			return 1
		}
		return 0
	})
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "rind_node_pool_waits_total", Help: "Calls that waited for a connection to the database.",
	}, func() float64 { return float64(n.deps.DB.Pool().WaitCount) }))
}
