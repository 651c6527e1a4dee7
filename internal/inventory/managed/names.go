package managed

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network"
)

// names are the addresses of managed hosts that this process knows.
type names struct {
	known atomic.Pointer[map[netip.Addr]fleet.PeelID]
	read  atomic.Pointer[time.Time] // when they were asked for last, successfully
}

// Name is the host that has an address, or "". Which tap saw it makes no
// difference: an address that several hosts have is of none.
func (n *names) Name(_ network.TapID, addr netip.Addr) string {
	known := n.known.Load()
	if known == nil {
		return ""
	}
	return string((*known)[addr.Unmap()])
}

func (n *names) set(known map[netip.Addr]fleet.PeelID, at time.Time) {
	n.known.Store(&known)
	n.read.Store(&at)
}

// observe makes metrics of what is known.
func (n *names) observe(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rind_managed_addresses", Help: "Addresses of managed hosts that this node knows, to name them in flows.",
	}, func() float64 {
		if known := n.known.Load(); known != nil {
			return float64(len(*known))
		}
		return 0
	}), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rind_managed_read_timestamp_seconds", Help: "When this node learned last which hosts are managed, or that nothing has changed; 0 is never.",
	}, func() float64 {
		if at := n.read.Load(); at != nil {
			return float64(at.UnixMicro()) / 1e6
		}
		return 0
	}))
}
